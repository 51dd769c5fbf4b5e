variable "region" {
  description = "AWS region; Bedrock must have the models there."
  type        = string
}

variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "postern"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "name takes 2 to 31 lower-case letters, digits and dashes, a letter first."
  }
}

variable "mode" {
  description = "node: the gateway is on the tailnet itself (recommended). subnet-router: the gateway stays behind the router, with SNAT off and a return route, so that it still sees who calls."
  type        = string
  default     = "node"

  validation {
    condition     = contains(["node", "subnet-router"], var.mode)
    error_message = "mode is node or subnet-router."
  }
}

variable "bedrock_model_arns" {
  description = "The models that the gateway may invoke."
  type        = list(string)
}

variable "router_image_id" {
  description = "Amazon Linux 2023 for the router (arm64)."
  type        = string
}

variable "gateway_image_id" {
  description = "Amazon Linux 2023 with Node.js 24, and tailscaled in mode node, for the gateway (arm64)."
  type        = string
}

variable "program" {
  description = "The program in S3: { bucket, key, sha256 }. Null: the image has it."
  type = object({
    bucket = string
    key    = string
    sha256 = string
  })
  default = null
}

variable "users" {
  description = "Who may ask: logins or groups of the tailnet."
  type        = list(string)
  default     = ["autogroup:member"]
}

variable "tailnet_range" {
  description = "Addresses of the tailnet."
  type        = string
  default     = "100.64.0.0/10"
}

variable "enable_nat" {
  description = "A NAT gateway: direct WireGuard paths to the gateway instead of relayed ones, at its price."
  type        = bool
  default     = false
}

variable "manage_policy" {
  description = "Write the tailnet's policy file from here. Off: `postern policy apply` owns it."
  type        = bool
  default     = false
}

variable "tailnet_policy_file" {
  description = "The policy file of the tailnet, where manage_policy is on."
  type        = string
  default     = ""
}

variable "approve_routes" {
  description = "Approve the router's routes here; off: autoApprovers of the policy do it."
  type        = bool
  default     = true
}

variable "temporary_ssh" {
  description = "Inbound SSH to the router for debugging, at most a day. Null: none."
  type = object({
    cidr  = string
    until = string
  })
  default = null
}
