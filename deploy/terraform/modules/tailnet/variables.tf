variable "router_tag" {
  description = "Tag of the subnet router."
  type        = string
  default     = "tag:subnet-router"

  validation {
    condition     = can(regex("^tag:[a-z][a-z0-9-]*$", var.router_tag))
    error_message = "router_tag looks like tag:subnet-router."
  }
}

variable "gateway_tag" {
  description = "Tag of the gateway."
  type        = string
  default     = "tag:gateway"

  validation {
    condition     = can(regex("^tag:[a-z][a-z0-9-]*$", var.gateway_tag))
    error_message = "gateway_tag looks like tag:gateway."
  }
}

variable "gateway_is_node" {
  description = "Whether the gateway joins the tailnet itself and needs a key of its own."
  type        = bool
  default     = true
}

variable "key_expiry_seconds" {
  description = "How long a key that nobody has used stays valid. It is used once, at the first boot."
  type        = number
  default     = 3600

  validation {
    condition     = var.key_expiry_seconds >= 300 && var.key_expiry_seconds <= 86400
    error_message = "key_expiry_seconds lies between 300 (five minutes) and 86400 (a day)."
  }
}

variable "manage_policy" {
  description = "Write the policy file of the tailnet from here. Off: `postern policy apply` owns it, and two writers would undo each other."
  type        = bool
  default     = false
}

variable "policy_file" {
  description = "The policy file (HuJSON) that is written where manage_policy is on."
  type        = string
  default     = ""
}

variable "approve_routes_of" {
  description = "Host name of the subnet router whose routes are approved here; empty: the policy's autoApprovers do it."
  type        = string
  default     = ""
}

variable "routes" {
  description = "The routes to approve."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for r in var.routes : can(cidrhost(r, 0)) && !endswith(r, "/0")])
    error_message = "routes takes address ranges; an exit route (/0) is never approved here."
  }
}
