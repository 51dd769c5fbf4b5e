variable "region" {
  description = "AWS region."
  type        = string
}

variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "postern"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "name takes 2 to 21 lower-case letters, digits and dashes, a letter first (load balancer names are short)."
  }
}

variable "public_name" {
  description = "The name that callers use, such as ai.example.com. Its certificate is certificate_arn."
  type        = string
}

variable "certificate_arn" {
  description = "The certificate of public_name."
  type        = string
}

variable "issuer" {
  description = "Whose tokens callers bring: the issuer, audience and key set of the identity provider."
  type = object({
    url      = string
    audience = string
    jwks_url = string
  })
}

variable "bedrock_model_arns" {
  description = "Models of Bedrock that the gateway may invoke beside its own machines."
  type        = list(string)
}

variable "gateway_image_id" {
  description = "Amazon Linux 2023 with Node.js 24 (arm64)."
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

variable "instant" {
  description = "Machines for quick answers."
  type = object({
    image_id      = string
    instance_type = string
    size          = number
  })
}

variable "thinking" {
  description = "Machines for slow, deep answers."
  type = object({
    image_id      = string
    instance_type = string
    size          = number
  })
}

variable "database_cidrs" {
  description = "The managed PostgreSQL, outside the VPC; empty: none, and no way out."
  type        = list(string)
  default     = []
}

variable "access_log_bucket" {
  description = "Bucket for the access log of the load balancer."
  type        = string
}
