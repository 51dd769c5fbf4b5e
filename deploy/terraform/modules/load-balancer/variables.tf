variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "public_subnet_ids" {
  description = "Public subnets of at least two availability zones."
  type        = list(string)

  validation {
    condition     = length(var.public_subnet_ids) >= 2
    error_message = "A load balancer needs public subnets in two availability zones."
  }
}

variable "certificate_arn" {
  description = "The certificate of the public name."
  type        = string
}

variable "gateway_instance_id" {
  description = "The gateway."
  type        = string
}

variable "gateway_security_group_id" {
  description = "The gateway's group."
  type        = string
}

variable "gateway_port" {
  description = "Port of the gateway."
  type        = number
  default     = 8000
}

variable "access_log_bucket" {
  description = "Bucket for the access log of the load balancer."
  type        = string
}

variable "idle_timeout_seconds" {
  description = "How long a quiet stream stays open; the gateway's heartbeat is every 15 s."
  type        = number
  default     = 120
}

variable "tags" {
  description = "Tags for everything."
  type        = map(string)
  default     = {}
}
