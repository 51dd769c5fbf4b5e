output "next" {
  description = "What to do now: point the public name at the load balancer, then ask."
  value       = "CNAME ${var.public_name} → ${module.load_balancer.dns_name}, then: curl https://${var.public_name}/readyz"
}

output "session" {
  description = "A shell on the gateway, without SSH."
  value       = "aws ssm start-session --region ${var.region} --target ${module.gateway.instance_id}"
}
