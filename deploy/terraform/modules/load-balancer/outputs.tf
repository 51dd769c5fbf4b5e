output "dns_name" {
  description = "The load balancer's own name: where the public name points."
  value       = aws_lb.this.dns_name
}

output "security_group_id" {
  description = "The load balancer's group."
  value       = aws_security_group.this.id
}
