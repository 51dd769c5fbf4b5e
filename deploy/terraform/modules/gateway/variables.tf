variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_id" {
  description = "A private subnet."
  type        = string
}

variable "image_id" {
  description = "An image with Amazon Linux 2023 and Node.js 24, or one with the program baked in (program = null)."
  type        = string
}

variable "instance_type" {
  description = "The gateway needs one core and half a gigabyte."
  type        = string
  default     = "t4g.small"
}

variable "bedrock_model_arns" {
  description = "The models (and inference profiles, with each region's model) that the gateway may invoke."
  type        = list(string)

  validation {
    condition     = length(var.bedrock_model_arns) > 0 && alltrue([for a in var.bedrock_model_arns : can(regex("^arn:aws[a-z-]*:bedrock:[^*]*:(foundation-model|inference-profile|application-inference-profile|provisioned-model)/[^*]+$", a))])
    error_message = "bedrock_model_arns takes full ARNs of foundation models or inference profiles, without a star."
  }
}

variable "bedrock_endpoint_ids" {
  description = "Endpoints through which alone the role may invoke models; empty: wherever its credentials are used."
  type        = list(string)
  default     = []
}

variable "program" {
  description = "Where the program is fetched from through the S3 endpoint: { bucket, key, sha256 }. Null: the image has it."
  type = object({
    bucket = string
    key    = string
    sha256 = string
  })
  default = null

  validation {
    condition     = var.program == null || can(regex("^[0-9a-f]{64}$", var.program.sha256))
    error_message = "program.sha256 is the checksum of the tarball in lower-case hex: sha256sum postern-*.tgz"
  }
}

variable "config" {
  description = "postern.hujson of the gateway."
  type        = string
}

variable "policy" {
  description = "policy.hujson of the gateway: who may call which model."
  type        = string
}

variable "port" {
  description = "Port of the gateway."
  type        = number
  default     = 8000
}

variable "tailnet" {
  description = "Join the tailnet: { auth_key, hostname, tag, proxy_url }. proxy_url is the control proxy where the subnet has no way to the internet, else null. Null: stay behind the subnet router."
  type = object({
    auth_key  = string
    hostname  = string
    tag       = string
    proxy_url = string
  })
  default   = null
  sensitive = true
}

variable "joins_tailnet" {
  description = "Whether tailnet is given (known before its key is)."
  type        = bool
  default     = true
}

variable "proxy" {
  description = "The control proxy's group and port, where the gateway joins through it."
  type = object({
    security_group_id = string
    port              = number
  })
  default = null
}

variable "caller_security_group_ids" {
  description = "Groups that may reach the gateway's port: the subnet router, or a load balancer. None where callers come over the tailnet."
  type        = map(string)
  default     = {}
}

variable "caller_cidrs" {
  description = "Ranges that may reach the gateway's port: the tailnet's, behind a subnet router with SNAT off (the packets keep their source address, and a rule for the router's group does not match them)."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for c in var.caller_cidrs : !endswith(c, "/0")])
    error_message = "caller_cidrs never takes everybody."
  }
}

variable "backends" {
  description = "Machines with models that the gateway calls: group and port by name."
  type = map(object({
    security_group_id = string
    port              = number
  }))
  default = {}
}

variable "database_cidrs" {
  description = "Where PostgreSQL is (port 5432), outside this VPC."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for c in var.database_cidrs : can(cidrhost(c, 0)) && !endswith(c, "/0")])
    error_message = "database_cidrs names the database's ranges, never everybody."
  }
}

variable "endpoint_security_group_id" {
  description = "The group of the interface endpoints."
  type        = string
}

variable "s3_prefix_list_id" {
  description = "Addresses of S3 behind the gateway endpoint."
  type        = string
}

variable "kms_key_arn" {
  description = "Key for the disk and the parameters; empty: AWS's own keys."
  type        = string
  default     = ""
}

variable "tags" {
  description = "Tags for everything."
  type        = map(string)
  default     = {}
}
