output "security_group_id" {
  description = "The router's group: what the gateway lets in behind a subnet route."
  value       = aws_security_group.this.id
}

output "network_interface_id" {
  description = "The router's interface: where the return route to the tailnet points."
  value       = aws_instance.this.primary_network_interface_id
}

output "private_ip" {
  description = "The router's address in the VPC."
  value       = aws_instance.this.private_ip
}

output "instance_id" {
  description = "For `aws ssm start-session --target …`."
  value       = aws_instance.this.id
}

output "proxy_url" {
  description = "The control proxy, for machines of the private subnets; null where it is off."
  value       = var.control_proxy ? "http://${aws_instance.this.private_ip}:${local.proxy_port}" : null
}

output "proxy_port" {
  description = "Port of the control proxy."
  value       = local.proxy_port
}
