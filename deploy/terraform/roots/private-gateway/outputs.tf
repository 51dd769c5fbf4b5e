output "next" {
  description = "What to type now, on a machine of the tailnet."
  value = var.mode == "node" ? (
    "curl http://ai/ask -H 'content-type: application/json' -d '{\"prompt\":\"Explain what a subnet router does in simple terms\"}'"
    ) : (
    "curl http://${module.gateway.private_ip}:8000/health && curl http://${module.gateway.private_ip}:8000/whoami"
  )
}

output "session" {
  description = "A shell on the gateway, without SSH."
  value       = "aws ssm start-session --region ${var.region} --target ${module.gateway.instance_id}"
}

output "gateway_private_ip" {
  description = "The gateway's address in the VPC."
  value       = module.gateway.private_ip
}
