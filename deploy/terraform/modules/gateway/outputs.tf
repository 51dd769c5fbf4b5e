output "security_group_id" {
  description = "The gateway's group: what the models let in."
  value       = aws_security_group.this.id
}

output "role_arn" {
  description = "The gateway's role: what the Bedrock endpoint lets through."
  value       = aws_iam_role.this.arn
}

output "private_ip" {
  description = "The gateway's address in the VPC."
  value       = aws_instance.this.private_ip
}

output "instance_id" {
  description = "For `aws ssm start-session --target …`."
  value       = aws_instance.this.id
}
