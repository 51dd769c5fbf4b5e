locals {
  port            = 8000
  public_subnets  = ["10.1.0.0/24", "10.1.1.0/24"]
  private_subnets = ["10.1.16.0/20", "10.1.32.0/20"]

  config = jsonencode({
    providers = {
      instant  = { kind = "openai", baseUrl = module.instant.url }
      thinking = { kind = "openai", baseUrl = module.thinking.url }
      bedrock  = { kind = "bedrock", region = var.region }
    }
    # The balancer ends TLS; whoever else connects is closed before a byte is read.
    publicEdge     = { address = "0.0.0.0:${local.port}", tls = "balancer", hosts = [var.public_name] }
    trustedProxies = local.public_subnets
    identities = {
      issuers = [{
        issuer     = var.issuer.url
        audience   = [var.issuer.audience]
        algorithms = ["RS256", "ES256"]
        jwksUrl    = var.issuer.jwks_url
      }]
      # Whoever the identity provider knows is a member here; what members may, the policy says.
      map = [{ issuer = var.issuer.url, claim = "email" }]
    }
  })

  policy = jsonencode({
    grants = [{
      src = ["autogroup:member"]
      dst = ["tag:gateway"]
      ip  = ["tcp:443"]
      app = { "postern.dev/cap/ai" = [{ models = ["instant/**", "thinking/**", "bedrock/**"] }] }
    }]
    tagOwners = { "tag:gateway" = ["autogroup:admin"] }
  })
}

module "network" {
  source = "../../modules/network"

  name                 = var.name
  vpc_cidr             = "10.1.0.0/16"
  public_subnet_cidrs  = local.public_subnets
  private_subnet_cidrs = local.private_subnets
  bedrock_model_arns   = var.bedrock_model_arns
  gateway_role_arns    = [module.gateway.role_arn]
  program_bucket_arns  = var.program == null ? [] : ["arn:aws:s3:::${var.program.bucket}"]
  enable_nat           = length(var.database_cidrs) > 0
}

resource "aws_route53_zone" "inner" {
  name = "${var.name}.internal"

  vpc {
    vpc_id = module.network.vpc_id
  }
}

module "gateway" {
  source = "../../modules/gateway"

  name               = var.name
  vpc_id             = module.network.vpc_id
  subnet_id          = module.network.private_subnet_ids[0]
  image_id           = var.gateway_image_id
  bedrock_model_arns = var.bedrock_model_arns
  program            = var.program
  config             = local.config
  policy             = local.policy
  port               = local.port

  joins_tailnet             = false
  caller_security_group_ids = { "load balancer" = module.load_balancer.security_group_id }
  database_cidrs            = var.database_cidrs

  backends = {
    instant  = { security_group_id = module.instant.security_group_id, port = module.instant.port }
    thinking = { security_group_id = module.thinking.security_group_id, port = module.thinking.port }
  }

  endpoint_security_group_id = module.network.endpoint_security_group_id
  s3_prefix_list_id          = module.network.s3_prefix_list_id
}

module "load_balancer" {
  source = "../../modules/load-balancer"

  name                      = var.name
  vpc_id                    = module.network.vpc_id
  public_subnet_ids         = module.network.public_subnet_ids
  certificate_arn           = var.certificate_arn
  gateway_instance_id       = module.gateway.instance_id
  gateway_security_group_id = module.gateway.security_group_id
  gateway_port              = local.port
  access_log_bucket         = var.access_log_bucket
}

module "instant" {
  source = "../../modules/gpu-group"

  name                       = var.name
  tier                       = "instant"
  vpc_id                     = module.network.vpc_id
  private_subnet_ids         = module.network.private_subnet_ids
  image_id                   = var.instant.image_id
  instance_type              = var.instant.instance_type
  size                       = var.instant.size
  gateway_security_group_id  = module.gateway.security_group_id
  endpoint_security_group_id = module.network.endpoint_security_group_id
  zone_id                    = aws_route53_zone.inner.zone_id
  zone_name                  = aws_route53_zone.inner.name
}

module "thinking" {
  source = "../../modules/gpu-group"

  name                       = var.name
  tier                       = "thinking"
  vpc_id                     = module.network.vpc_id
  private_subnet_ids         = module.network.private_subnet_ids
  image_id                   = var.thinking.image_id
  instance_type              = var.thinking.instance_type
  size                       = var.thinking.size
  gateway_security_group_id  = module.gateway.security_group_id
  endpoint_security_group_id = module.network.endpoint_security_group_id
  zone_id                    = aws_route53_zone.inner.zone_id
  zone_name                  = aws_route53_zone.inner.name
}
