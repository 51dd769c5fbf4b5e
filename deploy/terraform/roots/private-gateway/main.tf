locals {
  is_node     = var.mode == "node"
  router_tag  = "tag:subnet-router"
  gateway_tag = "tag:gateway"
  port        = 8000

  config = jsonencode(merge(
    {
      providers    = { bedrock = { kind = "bedrock", region = var.region } }
      defaultModel = "bedrock/${regex("[^/]+$", var.bedrock_model_arns[0])}"
    },
    # Behind the router the source address is the caller's own, and only because the router does not rewrite it.
    local.is_node ? {} : { routed = { from = module.router.private_ip } },
  ))

  policy = jsonencode({
    grants = [{
      src = var.users
      dst = [local.gateway_tag]
      ip  = ["tcp:80", "tcp:443", "tcp:${local.port}"]
      app = { "postern.dev/cap/ai" = [{ models = ["bedrock/**"] }] }
    }]
    tagOwners = {
      (local.gateway_tag) = ["autogroup:admin"]
      (local.router_tag)  = ["autogroup:admin"]
    }
  })
}

module "network" {
  source = "../../modules/network"

  name                = var.name
  bedrock_model_arns  = var.bedrock_model_arns
  gateway_role_arns   = [module.gateway.role_arn]
  program_bucket_arns = var.program == null ? [] : ["arn:aws:s3:::${var.program.bucket}"]
  enable_nat          = var.enable_nat
}

module "tailnet" {
  source = "../../modules/tailnet"

  router_tag        = local.router_tag
  gateway_tag       = local.gateway_tag
  gateway_is_node   = local.is_node
  manage_policy     = var.manage_policy
  policy_file       = var.tailnet_policy_file
  approve_routes_of = !local.is_node && var.approve_routes ? "${var.name}-router" : ""
  routes            = module.network.private_subnet_cidrs
}

module "router" {
  source = "../../modules/subnet-router"

  name              = var.name
  vpc_id            = module.network.vpc_id
  subnet_id         = module.network.public_subnet_ids[0]
  image_id          = var.router_image_id
  hostname          = "${var.name}-router"
  tag               = local.router_tag
  auth_key          = module.tailnet.router_key
  advertised_routes = local.is_node ? [] : module.network.private_subnet_cidrs
  snat              = false
  control_proxy     = local.is_node && !var.enable_nat
  gateway_port      = local.port
  temporary_ssh     = var.temporary_ssh
}

# With SNAT off, answers to the tailnet must find the router again.
resource "aws_route" "return_to_tailnet" {
  count                  = local.is_node ? 0 : 1
  route_table_id         = module.network.private_route_table_id
  destination_cidr_block = var.tailnet_range
  network_interface_id   = module.router.network_interface_id
}

# The router forwards to the gateway's port, and to nothing else of the private subnets.
resource "aws_vpc_security_group_egress_rule" "router_to_gateway" {
  count                        = local.is_node ? 0 : 1
  security_group_id            = module.router.security_group_id
  description                  = "routed traffic to the gateway"
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
  referenced_security_group_id = module.gateway.security_group_id
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

  joins_tailnet = local.is_node
  tailnet = local.is_node ? {
    auth_key  = module.tailnet.gateway_key
    hostname  = "ai"
    tag       = local.gateway_tag
    proxy_url = module.router.proxy_url
  } : null
  proxy = local.is_node && !var.enable_nat ? {
    security_group_id = module.router.security_group_id
    port              = module.router.proxy_port
  } : null

  caller_security_group_ids = local.is_node ? {} : { "subnet router" = module.router.security_group_id }
  caller_cidrs              = local.is_node ? [] : [var.tailnet_range]

  endpoint_security_group_id = module.network.endpoint_security_group_id
  s3_prefix_list_id          = module.network.s3_prefix_list_id
}
