# One key for each machine: used once, tagged, gone with the machine.
resource "tailscale_tailnet_key" "router" {
  reusable            = false
  ephemeral           = true
  preauthorized       = true
  expiry              = var.key_expiry_seconds
  description         = "subnet router, first boot"
  tags                = [var.router_tag]
  recreate_if_invalid = "never"
}

resource "tailscale_tailnet_key" "gateway" {
  count               = var.gateway_is_node ? 1 : 0
  reusable            = false
  ephemeral           = true
  preauthorized       = true
  expiry              = var.key_expiry_seconds
  description         = "gateway, first boot"
  tags                = [var.gateway_tag]
  recreate_if_invalid = "never"
}

resource "tailscale_acl" "this" {
  count                      = var.manage_policy ? 1 : 0
  acl                        = file(var.policy_file)
  overwrite_existing_content = false

  lifecycle {
    precondition {
      condition     = var.policy_file != ""
      error_message = "manage_policy needs policy_file."
    }
  }
}

data "tailscale_device" "router" {
  count    = var.approve_routes_of == "" ? 0 : 1
  hostname = var.approve_routes_of
  wait_for = "300s"
}

resource "tailscale_device_subnet_routes" "router" {
  count     = var.approve_routes_of == "" ? 0 : 1
  device_id = data.tailscale_device.router[0].node_id
  routes    = var.routes
}
