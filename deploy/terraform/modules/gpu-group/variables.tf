variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "tier" {
  description = "instant or thinking."
  type        = string

  validation {
    condition     = contains(["instant", "thinking"], var.tier)
    error_message = "tier is instant or thinking."
  }
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "private_subnet_ids" {
  description = "Private subnets."
  type        = list(string)
}

variable "image_id" {
  description = "An image with the model server and its weights baked in; it listens on port."
  type        = string
}

variable "instance_type" {
  description = "A machine with the accelerator that the model needs."
  type        = string
}

variable "size" {
  description = "How many machines."
  type        = number
  default     = 1

  validation {
    condition     = var.size >= 0 && var.size <= 64
    error_message = "size lies between 0 and 64."
  }
}

variable "port" {
  description = "Port of the model server."
  type        = number
  default     = 8080
}

variable "gateway_security_group_id" {
  description = "The gateway's group: the only one that gets in."
  type        = string
}

variable "endpoint_security_group_id" {
  description = "The group of the interface endpoints (SSM)."
  type        = string
}

variable "zone_id" {
  description = "Private DNS zone in which the group gets its name."
  type        = string
}

variable "zone_name" {
  description = "Name of that zone."
  type        = string
}

variable "kms_key_arn" {
  description = "Key for the disks; empty: AWS's own."
  type        = string
  default     = ""
}

variable "tags" {
  description = "Tags for everything."
  type        = map(string)
  default     = {}
}
