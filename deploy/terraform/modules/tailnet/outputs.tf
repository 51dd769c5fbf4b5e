output "router_key" {
  description = "First-boot key of the subnet router."
  value       = tailscale_tailnet_key.router.key
  sensitive   = true
}

output "gateway_key" {
  description = "First-boot key of the gateway; null where it does not join."
  value       = one(tailscale_tailnet_key.gateway[*].key)
  sensitive   = true
}
