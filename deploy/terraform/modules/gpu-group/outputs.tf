output "security_group_id" {
  description = "Group of the inner balancer: what the gateway calls."
  value       = aws_security_group.balancer.id
}

output "url" {
  description = "The group's address for the gateway's configuration."
  value       = "http://${aws_route53_record.this.name}:${var.port}/v1"
}

output "port" {
  description = "Port of the models."
  value       = var.port
}
