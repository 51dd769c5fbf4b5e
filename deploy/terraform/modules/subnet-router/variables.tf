variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_id" {
  description = "A public subnet."
  type        = string
}

variable "image_id" {
  description = "An image with Amazon Linux 2023 for the instance type."
  type        = string
}

variable "instance_type" {
  description = "A small machine: it forwards packets and nothing else."
  type        = string
  default     = "t4g.nano"
}

variable "hostname" {
  description = "Name on the tailnet."
  type        = string
  default     = "subnet-router"
}

variable "tag" {
  description = "Tag on the tailnet."
  type        = string
  default     = "tag:subnet-router"
}

variable "auth_key" {
  description = "First-boot key: single-use, tagged, ephemeral."
  type        = string
  sensitive   = true
}

variable "advertised_routes" {
  description = "Ranges that the router offers to the tailnet; empty: it carries the gateway's control traffic only."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for r in var.advertised_routes : can(cidrhost(r, 0)) && !endswith(r, "/0")])
    error_message = "advertised_routes takes address ranges, never /0: this is no exit node."
  }
}

variable "snat" {
  description = "Rewrite source addresses of routed traffic. Off where the gateway must see who calls; the VPC then needs the return route."
  type        = bool
  default     = false
}

variable "control_proxy" {
  description = "Run a forward proxy for the control plane of the tailnet, so that a gateway without a way to the internet can join."
  type        = bool
  default     = true
}

variable "control_proxy_domains" {
  description = "What the proxy connects to, on port 443 only."
  type        = list(string)
  default     = [".tailscale.com"]
}

variable "gateway_port" {
  description = "Port of the gateway behind advertised routes."
  type        = number
  default     = 8000
}

variable "temporary_ssh" {
  description = "Inbound SSH for debugging, until a moment at most a day away: { cidr = \"203.0.113.7/32\", until = \"2030-01-01T12:00:00Z\" }. Null: none."
  type = object({
    cidr  = string
    until = string
  })
  default = null

  validation {
    condition     = var.temporary_ssh == null || can(regex("/32$", var.temporary_ssh.cidr))
    error_message = "temporary_ssh.cidr is one address, such as 203.0.113.7/32."
  }

  validation {
    condition     = var.temporary_ssh == null || can(timecmp(var.temporary_ssh.until, plantimestamp()))
    error_message = "temporary_ssh.until is a time such as 2030-01-01T12:00:00Z."
  }

  validation {
    condition     = var.temporary_ssh == null || try(timecmp(var.temporary_ssh.until, timeadd(plantimestamp(), "24h")) <= 0, false)
    error_message = "temporary_ssh.until lies more than a day away: a temporary switch is short."
  }
}

variable "kms_key_arn" {
  description = "Key for the disk and the parameter; empty: AWS's own keys."
  type        = string
  default     = ""
}

variable "tags" {
  description = "Tags for everything."
  type        = map(string)
  default     = {}
}
