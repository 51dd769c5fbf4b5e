locals {
  tags = merge({ Project = var.name, ManagedBy = "terraform" }, var.tags)
}

data "aws_partition" "current" {}

data "aws_region" "current" {}

# --- Who may reach it, and what it may reach -----------------------------------------------------------------------

resource "aws_security_group" "this" {
  name        = "${var.name}-gateway"
  description = "Gateway: named callers in, AWS endpoints out, nothing else"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-gateway" })
}

resource "aws_vpc_security_group_ingress_rule" "caller_group" {
  for_each                     = var.caller_security_group_ids
  security_group_id            = aws_security_group.this.id
  description                  = "the gateway's port from ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
  referenced_security_group_id = each.value
  tags                         = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "caller_range" {
  for_each          = toset(var.caller_cidrs)
  security_group_id = aws_security_group.this.id
  description       = "the gateway's port from the tailnet"
  ip_protocol       = "tcp"
  from_port         = var.port
  to_port           = var.port
  cidr_ipv4         = each.value
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "endpoints" {
  security_group_id            = aws_security_group.this.id
  description                  = "Bedrock, SSM, STS and logs by their endpoints"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = var.endpoint_security_group_id
  tags                         = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "into_endpoints" {
  security_group_id            = var.endpoint_security_group_id
  description                  = "from the gateway"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.this.id
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.this.id
  description       = "the program, by the S3 endpoint"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = var.s3_prefix_list_id
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "proxy" {
  count                        = var.joins_tailnet && var.proxy != null ? 1 : 0
  security_group_id            = aws_security_group.this.id
  description                  = "the tailnet's control plane and relays, by the control proxy"
  ip_protocol                  = "tcp"
  from_port                    = var.proxy.port
  to_port                      = var.proxy.port
  referenced_security_group_id = var.proxy.security_group_id
  tags                         = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "into_proxy" {
  count                        = var.joins_tailnet && var.proxy != null ? 1 : 0
  security_group_id            = var.proxy.security_group_id
  description                  = "control proxy, from the gateway"
  ip_protocol                  = "tcp"
  from_port                    = var.proxy.port
  to_port                      = var.proxy.port
  referenced_security_group_id = aws_security_group.this.id
  tags                         = local.tags
}

# With a NAT gateway there is no proxy: the machine speaks to the control plane and to its peers itself.
resource "aws_vpc_security_group_egress_rule" "control_plane" {
  count             = var.joins_tailnet && var.proxy == null ? 1 : 0
  security_group_id = aws_security_group.this.id
  description       = "the tailnet's control plane and relays, by NAT"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "wireguard" {
  count             = var.joins_tailnet && var.proxy == null ? 1 : 0
  security_group_id = aws_security_group.this.id
  description       = "WireGuard to peers, by NAT"
  ip_protocol       = "udp"
  from_port         = 1024
  to_port           = 65535
  cidr_ipv4         = "0.0.0.0/0"
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "backend" {
  for_each                     = var.backends
  security_group_id            = aws_security_group.this.id
  description                  = "models of ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = each.value.security_group_id
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "database" {
  for_each          = toset(var.database_cidrs)
  security_group_id = aws_security_group.this.id
  description       = "PostgreSQL"
  ip_protocol       = "tcp"
  from_port         = 5432
  to_port           = 5432
  cidr_ipv4         = each.value
  tags              = local.tags
}

# --- What it may do ------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "invoke" {
  statement {
    sid       = "InvokeNamedModels"
    actions   = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
    resources = var.bedrock_model_arns

    # Credentials of the old metadata service, which any server-side request forgery can fetch, do not count.
    condition {
      test     = "NumericGreaterThanEquals"
      variable = "ec2:RoleDelivery"
      values   = ["2.0"]
    }

    dynamic "condition" {
      for_each = length(var.bedrock_endpoint_ids) > 0 ? [var.bedrock_endpoint_ids] : []

      content {
        test     = "StringEquals"
        variable = "aws:SourceVpce"
        values   = condition.value
      }
    }
  }
}

data "aws_iam_policy_document" "boot" {
  statement {
    sid     = "OwnParametersOnly"
    actions = ["ssm:GetParameter"]
    resources = concat(
      [aws_ssm_parameter.config.arn, aws_ssm_parameter.policy.arn],
      aws_ssm_parameter.auth_key[*].arn,
    )
  }

  dynamic "statement" {
    for_each = var.program == null ? [] : [var.program]

    content {
      sid       = "OwnProgramOnly"
      actions   = ["s3:GetObject"]
      resources = ["arn:${data.aws_partition.current.partition}:s3:::${statement.value.bucket}/${statement.value.key}"]
    }
  }
}

resource "aws_iam_role" "this" {
  name_prefix        = "${var.name}-gateway-"
  assume_role_policy = data.aws_iam_policy_document.assume.json
  tags               = local.tags
}

resource "aws_iam_role_policy" "invoke" {
  name   = "invoke-named-models"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.invoke.json
}

resource "aws_iam_role_policy" "boot" {
  name   = "read-own-configuration"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.boot.json
}

resource "aws_iam_role_policy_attachment" "ssm" {
  role       = aws_iam_role.this.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "this" {
  name_prefix = "${var.name}-gateway-"
  role        = aws_iam_role.this.name
  tags        = local.tags
}

# --- What it reads at boot -----------------------------------------------------------------------------------------

resource "aws_ssm_parameter" "config" {
  name  = "/${var.name}/gateway/config"
  type  = "String"
  tier  = "Intelligent-Tiering"
  value = var.config
  tags  = local.tags
}

resource "aws_ssm_parameter" "policy" {
  name  = "/${var.name}/gateway/policy"
  type  = "String"
  tier  = "Intelligent-Tiering"
  value = var.policy
  tags  = local.tags
}

resource "aws_ssm_parameter" "auth_key" {
  count  = var.joins_tailnet ? 1 : 0
  name   = "/${var.name}/gateway/auth-key"
  type   = "SecureString"
  key_id = var.kms_key_arn == "" ? null : var.kms_key_arn
  value  = var.tailnet.auth_key
  tags   = local.tags

  lifecycle {
    # The key was used at the first boot; a new one must not replace the machine.
    ignore_changes = [value]
  }
}

# --- The machine ---------------------------------------------------------------------------------------------------

resource "aws_instance" "this" {
  ami                         = var.image_id
  instance_type               = var.instance_type
  subnet_id                   = var.subnet_id
  vpc_security_group_ids      = [aws_security_group.this.id]
  associate_public_ip_address = false
  iam_instance_profile        = aws_iam_instance_profile.this.name
  disable_api_termination     = true

  user_data_replace_on_change = true
  user_data = templatefile("${path.module}/boot.sh.tftpl", {
    region     = data.aws_region.current.region
    config     = aws_ssm_parameter.config.name
    policy     = aws_ssm_parameter.policy.name
    program    = var.program
    port       = var.port
    joins      = var.joins_tailnet
    parameter  = var.joins_tailnet ? aws_ssm_parameter.auth_key[0].name : ""
    hostname   = var.joins_tailnet ? nonsensitive(var.tailnet.hostname) : ""
    tag        = var.joins_tailnet ? nonsensitive(var.tailnet.tag) : ""
    proxy_url  = var.joins_tailnet ? nonsensitive(coalesce(var.tailnet.proxy_url, "none")) : "none"
    unit       = file("${path.module}/../../../systemd/postern.service")
    open_ports = length(var.caller_security_group_ids) + length(var.caller_cidrs) > 0
  })

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  root_block_device {
    encrypted   = true
    kms_key_id  = var.kms_key_arn == "" ? null : var.kms_key_arn
    volume_type = "gp3"
    volume_size = 16
  }

  tags        = merge(local.tags, { Name = "${var.name}-gateway" })
  volume_tags = local.tags
}
