locals {
  tags = merge({ Project = var.name, ManagedBy = "terraform" }, var.tags)
  # Past its time the switch is off: the next plan closes the port without anybody remembering to.
  ssh_open   = var.temporary_ssh != null && try(timecmp(var.temporary_ssh.until, plantimestamp()) > 0, false)
  proxy_port = 3128
  routes     = length(var.advertised_routes) > 0
}

data "aws_partition" "current" {}

resource "aws_security_group" "this" {
  name        = "${var.name}-subnet-router"
  description = "Subnet router: nothing comes in from the internet but WireGuard"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-subnet-router" })
}

resource "aws_vpc_security_group_ingress_rule" "wireguard" {
  security_group_id = aws_security_group.this.id
  description       = "WireGuard: direct paths instead of relayed ones; packets without a known key get no answer"
  ip_protocol       = "udp"
  from_port         = 41641
  to_port           = 41641
  cidr_ipv4         = "0.0.0.0/0"
  tags              = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  count             = local.ssh_open ? 1 : 0
  security_group_id = aws_security_group.this.id
  description       = "temporary SSH until ${var.temporary_ssh.until}"
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  cidr_ipv4         = var.temporary_ssh.cidr
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.this.id
  description       = "control plane, relays, packages, SSM"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "wireguard" {
  security_group_id = aws_security_group.this.id
  description       = "WireGuard to peers at any port"
  ip_protocol       = "udp"
  from_port         = 1024
  to_port           = 65535
  cidr_ipv4         = "0.0.0.0/0"
  tags              = local.tags
}

resource "aws_iam_role" "this" {
  name_prefix        = "${var.name}-router-"
  assume_role_policy = data.aws_iam_policy_document.assume.json
  tags               = local.tags
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "read_key" {
  statement {
    sid       = "OwnKeyOnly"
    actions   = ["ssm:GetParameter"]
    resources = [aws_ssm_parameter.auth_key.arn]

    # Credentials of the old metadata service, which any server-side request forgery can fetch, do not count.
    condition {
      test     = "NumericGreaterThanEquals"
      variable = "ec2:RoleDelivery"
      values   = ["2.0"]
    }
  }
}

resource "aws_iam_role_policy" "read_key" {
  name   = "read-auth-key"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.read_key.json
}

resource "aws_iam_role_policy_attachment" "ssm" {
  role       = aws_iam_role.this.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "this" {
  name_prefix = "${var.name}-router-"
  role        = aws_iam_role.this.name
  tags        = local.tags
}

# The key travels by a parameter that one role may read, never in user data, which every process of the machine may.
resource "aws_ssm_parameter" "auth_key" {
  name   = "/${var.name}/subnet-router/auth-key"
  type   = "SecureString"
  key_id = var.kms_key_arn == "" ? null : var.kms_key_arn
  value  = var.auth_key
  tags   = local.tags

  lifecycle {
    # The key was used at the first boot; a new one must not replace the machine.
    ignore_changes = [value]
  }
}

resource "aws_instance" "this" {
  ami                         = var.image_id
  instance_type               = var.instance_type
  subnet_id                   = var.subnet_id
  vpc_security_group_ids      = [aws_security_group.this.id]
  associate_public_ip_address = true
  source_dest_check           = !local.routes
  iam_instance_profile        = aws_iam_instance_profile.this.name
  disable_api_termination     = true

  user_data_replace_on_change = true
  user_data = templatefile("${path.module}/boot.sh.tftpl", {
    parameter  = aws_ssm_parameter.auth_key.name
    hostname   = var.hostname
    tag        = var.tag
    routes     = join(",", var.advertised_routes)
    snat       = var.snat
    proxy      = var.control_proxy
    proxy_port = local.proxy_port
    domains    = var.control_proxy_domains
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
    volume_size = 8
  }

  tags        = merge(local.tags, { Name = "${var.name}-subnet-router" })
  volume_tags = local.tags
}
