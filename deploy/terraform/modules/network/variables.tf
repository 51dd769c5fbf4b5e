variable "name" {
  description = "Prefix of every name; also the value of the tag Project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "name takes 2 to 31 lower-case letters, digits and dashes, a letter first."
  }
}

variable "vpc_cidr" {
  description = "Address range of the VPC."
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && tonumber(split("/", var.vpc_cidr)[1]) <= 24
    error_message = "vpc_cidr must be an IPv4 range of /24 or larger, such as 10.0.0.0/16."
  }
}

variable "public_subnet_cidrs" {
  description = "One public subnet for each availability zone in use. Holds the subnet router or the load balancer, nothing else."
  type        = list(string)
  default     = ["10.0.1.0/24"]

  validation {
    condition     = length(var.public_subnet_cidrs) > 0 && alltrue([for c in var.public_subnet_cidrs : can(cidrhost(c, 0))])
    error_message = "public_subnet_cidrs needs at least one IPv4 range."
  }
}

variable "private_subnet_cidrs" {
  description = "One private subnet for each availability zone in use. Holds the gateway and the models; no route to the internet unless enable_nat."
  type        = list(string)
  default     = ["10.0.2.0/24"]

  validation {
    condition     = length(var.private_subnet_cidrs) > 0 && alltrue([for c in var.private_subnet_cidrs : can(cidrhost(c, 0))])
    error_message = "private_subnet_cidrs needs at least one IPv4 range."
  }
}

variable "enable_nat" {
  description = "A NAT gateway for the private subnets. Off: AWS services are reached by endpoints, and there is no other way out."
  type        = bool
  default     = false
}

variable "bedrock_model_arns" {
  description = "The models (and inference profiles) that the endpoint lets through; the same list as the role of the gateway has."
  type        = list(string)

  validation {
    condition     = length(var.bedrock_model_arns) > 0 && alltrue([for a in var.bedrock_model_arns : can(regex("^arn:aws[a-z-]*:bedrock:[^*]*:(foundation-model|inference-profile|application-inference-profile|provisioned-model)/[^*]+$", a))])
    error_message = "bedrock_model_arns takes full ARNs of foundation models or inference profiles, without a star."
  }
}

variable "gateway_role_arns" {
  description = "The roles that may use the Bedrock endpoint."
  type        = list(string)

  validation {
    condition     = length(var.gateway_role_arns) > 0 && alltrue([for a in var.gateway_role_arns : !strcontains(a, "*")])
    error_message = "gateway_role_arns takes full ARNs of roles, without a star."
  }
}

variable "program_bucket_arns" {
  description = "Buckets that the S3 gateway endpoint lets through: the one that holds the program. AWS's own repository buckets of the region are added for the SSM agent."
  type        = list(string)
  default     = []
}

variable "flow_log_retention_days" {
  description = "How long the flow logs are kept, in days."
  type        = number
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.flow_log_retention_days)
    error_message = "flow_log_retention_days takes one of the periods that CloudWatch knows, 30 or more."
  }
}

variable "kms_key_arn" {
  description = "Key for the flow logs; empty: the key of CloudWatch."
  type        = string
  default     = ""
}

variable "tags" {
  description = "Tags for everything."
  type        = map(string)
  default     = {}
}
