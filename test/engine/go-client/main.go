// Drives a server of the Tailscale API v2 with the public Go client: each step says what it expects of the API, so that
// neither our server nor the one in its recorded shape is judged by its own author. Prints one JSON line per step.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	tailscale "tailscale.com/client/tailscale/v2"
)

type step struct {
	name string
	run  func(ctx context.Context) error
}

func main() {
	base, err := url.Parse(os.Args[1])
	if err != nil {
		panic(err)
	}
	// The engine's settings are in its configuration file: then a change is refused by name.
	settingsWritable := os.Args[3] == "writable"
	client := &tailscale.Client{BaseURL: base, APIKey: os.Args[2]}
	failed := false
	for _, each := range steps(base, client, settingsWritable) {
		err := each.run(context.Background())
		line := map[string]any{"step": each.name, "pass": err == nil}
		if err != nil {
			line["why"] = err.Error()
			failed = true
		}
		text, _ := json.Marshal(line)
		fmt.Println(string(text))
	}
	if failed {
		os.Exit(1)
	}
}

func steps(base *url.URL, client *tailscale.Client, settingsWritable bool) []step {
	return slices.Concat(
		keySteps(base, client), deviceSteps(client), policySteps(client),
		dnsSteps(client), otherSteps(base, client, settingsWritable),
	)
}

func capabilities(tags ...string) tailscale.KeyCapabilities {
	var made tailscale.KeyCapabilities
	made.Devices.Create.Ephemeral = true
	made.Devices.Create.Preauthorized = true
	made.Devices.Create.Tags = tags
	return made
}

func keySteps(base *url.URL, client *tailscale.Client) []step {
	return []step{
		{"an auth key is made, found, shown without its secret and deleted", func(ctx context.Context) error {
			key, err := client.Keys().CreateAuthKey(ctx, tailscale.CreateKeyRequest{
				Capabilities: capabilities("tag:ci"), ExpirySeconds: 1440, Description: "from go",
			})
			if err != nil {
				return err
			}
			if key.Key == "" || key.Description != "from go" || key.KeyType != "auth" {
				return fmt.Errorf("unlike what was asked for: %+v", key)
			}
			if life := key.Expires.Sub(key.Created).Seconds(); life < 1400 || life > 1500 {
				return fmt.Errorf("lives %v seconds", life)
			}
			listed, err := client.Keys().List(ctx, true)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(listed, func(each tailscale.Key) bool { return each.ID == key.ID }) {
				return errors.New("not listed")
			}
			got, err := client.Keys().Get(ctx, key.ID)
			if err != nil {
				return err
			}
			create := got.Capabilities.Devices.Create
			if got.Key != "" || !create.Ephemeral || create.Reusable || !slices.Equal(create.Tags, []string{"tag:ci"}) {
				return fmt.Errorf("shown as %+v", got)
			}
			return client.Keys().Delete(ctx, key.ID)
		}},
		{"an OAuth client gets tokens, which do what its scopes say and no more", func(ctx context.Context) error {
			made, err := client.Keys().CreateOAuthClient(ctx, tailscale.CreateOAuthClientRequest{
				Scopes: []string{"devices:core:read"}, Description: "reader",
			})
			if err != nil {
				return err
			}
			if made.Key == "" || made.KeyType != "client" || !slices.Equal(made.Scopes, []string{"devices:core:read"}) {
				return fmt.Errorf("unlike what was asked for: %+v", made)
			}
			reader := &tailscale.Client{BaseURL: base, Auth: &tailscale.OAuth{ClientID: made.ID, ClientSecret: made.Key}}
			if _, err := reader.Devices().List(ctx); err != nil {
				return fmt.Errorf("reading: %w", err)
			}
			_, err = reader.Keys().CreateAuthKey(ctx, tailscale.CreateKeyRequest{Capabilities: capabilities("tag:ci")})
			if err := wants(err, 403); err != nil {
				return err
			}
			if err := wants(reader.PolicyFile().Set(ctx, "{}", ""), 403); err != nil {
				return err
			}
			return client.Keys().Delete(ctx, made.ID)
		}},
		{"a wrong key is 401, with a message", func(ctx context.Context) error {
			wrong := &tailscale.Client{BaseURL: base, APIKey: "tskey-api-wrong"}
			_, err := wrong.Devices().List(ctx)
			return wants(err, 401)
		}},
	}
}

func wants(err error, status int) error {
	var refused tailscale.APIError
	if !errors.As(err, &refused) {
		return fmt.Errorf("wanted %d, got %v", status, err)
	}
	if refused.Status != status || refused.Message == "" {
		return fmt.Errorf("wanted %d with a message, got %d %q", status, refused.Status, refused.Message)
	}
	return nil
}

// The machine that stands there before: it offers 10.9.0.0/24.
func machine(ctx context.Context, client *tailscale.Client) (*tailscale.Device, error) {
	listed, err := client.Devices().List(ctx, tailscale.WithFields(tailscale.IncludeFieldsAll))
	if err != nil {
		return nil, err
	}
	for _, each := range listed {
		if each.Hostname == "one" {
			return &each, nil
		}
	}
	return nil, fmt.Errorf("not among %d machines", len(listed))
}

func deviceSteps(client *tailscale.Client) []step {
	return []step{
		{"a machine is listed and shown alike, by both of its ids", func(ctx context.Context) error {
			device, err := machine(ctx, client)
			if err != nil {
				return err
			}
			if len(device.Addresses) != 2 || !strings.HasPrefix(device.NodeKey, "nodekey:") || device.Created.IsZero() {
				return fmt.Errorf("listed as %+v", device)
			}
			if device.ConnectedToControl != (device.LastSeen == nil) {
				return errors.New("lastSeen is for machines that are away")
			}
			if !slices.Equal(device.AdvertisedRoutes, []string{"10.9.0.0/24"}) {
				return fmt.Errorf("offers %v", device.AdvertisedRoutes)
			}
			for _, id := range []string{device.NodeID, device.ID} {
				got, err := client.Devices().Get(ctx, id)
				if err != nil {
					return err
				}
				if got.NodeID != device.NodeID || got.Name != device.Name {
					return fmt.Errorf("by %s: %+v", id, got)
				}
			}
			return nil
		}},
		{"name, tags, routes and standing are changed", func(ctx context.Context) error {
			device, err := machine(ctx, client)
			if err != nil {
				return err
			}
			devices := client.Devices()
			if err := devices.SetName(ctx, device.NodeID, "renamed"); err != nil {
				return err
			}
			if err := devices.SetTags(ctx, device.NodeID, []string{"tag:gpu"}); err != nil {
				return err
			}
			if err := devices.SetSubnetRoutes(ctx, device.NodeID, []string{"10.9.0.0/24"}); err != nil {
				return err
			}
			if err := devices.SetAuthorized(ctx, device.NodeID, true); err != nil {
				return err
			}
			routes, err := devices.SubnetRoutes(ctx, device.NodeID)
			if err != nil {
				return err
			}
			if !slices.Equal(routes.Enabled, []string{"10.9.0.0/24"}) || !slices.Equal(routes.Advertised, routes.Enabled) {
				return fmt.Errorf("routes are %+v", routes)
			}
			after, err := devices.GetWithAllFields(ctx, device.NodeID)
			if err != nil {
				return err
			}
			if !strings.HasPrefix(after.Name, "renamed.") || !slices.Equal(after.Tags, []string{"tag:gpu"}) || !after.Authorized {
				return fmt.Errorf("is %+v", after)
			}
			return nil
		}},
		{"a machine that is not there is not found", func(ctx context.Context) error {
			_, err := client.Devices().Get(ctx, "nNothing")
			if !tailscale.IsNotFound(err) {
				return fmt.Errorf("got %v", err)
			}
			return wants(client.Devices().Delete(ctx, "nNothing"), 404)
		}},
	}
}

func policySteps(client *tailscale.Client) []step {
	return []step{
		{"a policy keeps its comments, and a stale etag is 412", func(ctx context.Context) error {
			file := client.PolicyFile()
			raw, err := file.Raw(ctx)
			if err != nil {
				return err
			}
			if raw.ETag == "" {
				return errors.New("no etag")
			}
			text := "// by the Go client\n" + raw.HuJSON
			if err := file.Validate(ctx, text); err != nil {
				return err
			}
			if err := file.Set(ctx, text, raw.ETag); err != nil {
				return err
			}
			after, err := file.Raw(ctx)
			if err != nil {
				return err
			}
			if after.HuJSON != text || after.ETag == raw.ETag {
				return fmt.Errorf("is %q with %s", after.HuJSON, after.ETag)
			}
			if err := wants(file.Set(ctx, text+"// again\n", raw.ETag), 412); err != nil {
				return err
			}
			return file.Set(ctx, raw.HuJSON, after.ETag)
		}},
		{"a policy is read and written as a value", func(ctx context.Context) error {
			acl, err := client.PolicyFile().Get(ctx)
			if err != nil {
				return err
			}
			if len(acl.Grants) == 0 {
				return fmt.Errorf("read %+v", acl)
			}
			acl.Groups = map[string][]string{"group:go": {"alice@example.com"}}
			set, err := client.PolicyFile().SetAndGet(ctx, *acl, acl.ETag)
			if err != nil {
				return err
			}
			if !slices.Equal(set.Groups["group:go"], []string{"alice@example.com"}) || set.ETag == acl.ETag {
				return fmt.Errorf("wrote %+v", set)
			}
			return nil
		}},
		{"a wrong policy fails validation, and is not written", func(ctx context.Context) error {
			wrong := `{"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]}], "nothing": 1}`
			if err := client.PolicyFile().Validate(ctx, wrong); err == nil {
				return errors.New("validated")
			}
			return wants(client.PolicyFile().Set(ctx, wrong, ""), 400)
		}},
	}
}

func dnsSteps(client *tailscale.Client) []step {
	return []step{
		{"DNS is read and written in parts", func(ctx context.Context) error {
			dns := client.DNS()
			if err := dns.SetNameservers(ctx, []string{"9.9.9.9", "149.112.112.112"}); err != nil {
				return err
			}
			if err := dns.SetSearchPaths(ctx, []string{"corp.example"}); err != nil {
				return err
			}
			if err := dns.SetPreferences(ctx, tailscale.DNSPreferences{MagicDNS: true}); err != nil {
				return err
			}
			if err := dns.SetSplitDNS(ctx, tailscale.SplitDNSRequest{"a.example": {"10.0.0.1"}}); err != nil {
				return err
			}
			split, err := dns.UpdateSplitDNS(ctx, tailscale.SplitDNSRequest{"b.example": {"10.0.0.2"}, "a.example": nil})
			if err != nil {
				return err
			}
			if len(split) != 1 || !slices.Equal(split["b.example"], []string{"10.0.0.2"}) {
				return fmt.Errorf("split is %v", split)
			}
			names, err := dns.Nameservers(ctx)
			if err != nil {
				return err
			}
			paths, err := dns.SearchPaths(ctx)
			if err != nil {
				return err
			}
			preferences, err := dns.Preferences(ctx)
			if err != nil {
				return err
			}
			if len(names) != 2 || !slices.Equal(paths, []string{"corp.example"}) || !preferences.MagicDNS {
				return fmt.Errorf("%v %v %v", names, paths, preferences)
			}
			return nil
		}},
		{"DNS is read and written as a whole", func(ctx context.Context) error {
			wanted := tailscale.DNSConfiguration{
				Nameservers: []tailscale.DNSConfigurationResolver{{Address: "1.1.1.1"}},
				SplitDNS:    map[string][]tailscale.DNSConfigurationResolver{"c.example": {{Address: "10.0.0.3"}}},
				SearchPaths: []string{"c.example"},
				Preferences: tailscale.DNSConfigurationPreferences{MagicDNS: true, OverrideLocalDNS: true},
			}
			if err := client.DNS().SetConfiguration(ctx, wanted); err != nil {
				return err
			}
			got, err := client.DNS().Configuration(ctx)
			if err != nil {
				return err
			}
			if fmt.Sprint(*got) != fmt.Sprint(wanted) {
				return fmt.Errorf("got %+v", *got)
			}
			return nil
		}},
	}
}

func otherSteps(base *url.URL, client *tailscale.Client, settingsWritable bool) []step {
	return []step{
		{"people are listed and shown", func(ctx context.Context) error {
			listed, err := client.Users().List(ctx, nil, nil)
			if err != nil {
				return err
			}
			at := slices.IndexFunc(listed, func(each tailscale.User) bool { return each.LoginName == "alice@example.com" })
			if at < 0 {
				return fmt.Errorf("alice is not among %d", len(listed))
			}
			got, err := client.Users().Get(ctx, listed[at].ID)
			if err != nil {
				return err
			}
			if got.LoginName != "alice@example.com" || got.Created.IsZero() {
				return fmt.Errorf("is %+v", got)
			}
			return nil
		}},
		{"settings are read; writing them works or is refused by name", func(ctx context.Context) error {
			settings, err := client.TailnetSettings().Get(ctx)
			if err != nil {
				return err
			}
			days := settings.DevicesKeyDurationDays + 1
			err = client.TailnetSettings().Update(ctx, tailscale.UpdateTailnetSettingsRequest{DevicesKeyDurationDays: &days})
			if settingsWritable {
				return err
			}
			return wants(err, 501)
		}},
		{"a machine is forgotten", func(ctx context.Context) error {
			device, err := machine(ctx, client)
			if err != nil {
				return err
			}
			if err := client.Devices().Delete(ctx, device.NodeID); err != nil {
				return err
			}
			_, err = client.Devices().Get(ctx, device.NodeID)
			if !tailscale.IsNotFound(err) {
				return fmt.Errorf("still there: %v", err)
			}
			return nil
		}},
	}
}
