locals {
  tags = merge({ Project = var.name, ManagedBy = "terraform", Tier = var.tier }, var.tags)
}

data "aws_partition" "current" {}

resource "aws_security_group" "this" {
  name        = "${var.name}-${var.tier}"
  description = "Models of ${var.tier}: the gateway in, SSM out"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-${var.tier}" })
}

resource "aws_vpc_security_group_ingress_rule" "gateway" {
  security_group_id            = aws_security_group.this.id
  description                  = "the gateway, and nobody else"
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
  referenced_security_group_id = var.gateway_security_group_id
  tags                         = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "balancer" {
  security_group_id            = aws_security_group.this.id
  description                  = "the group's own balancer and its health checks"
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
  referenced_security_group_id = aws_security_group.balancer.id
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "endpoints" {
  security_group_id            = aws_security_group.this.id
  description                  = "SSM by its endpoints"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = var.endpoint_security_group_id
  tags                         = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "into_endpoints" {
  security_group_id            = var.endpoint_security_group_id
  description                  = "from the models of ${var.tier}"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.this.id
  tags                         = local.tags
}

# --- One private name for the group --------------------------------------------------------------------------------

resource "aws_security_group" "balancer" {
  name        = "${var.name}-${var.tier}-balancer"
  description = "Inner balancer of ${var.tier}: the gateway in, the models out"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-${var.tier}-balancer" })
}

resource "aws_vpc_security_group_ingress_rule" "balancer_from_gateway" {
  security_group_id            = aws_security_group.balancer.id
  description                  = "the gateway, and nobody else"
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
  referenced_security_group_id = var.gateway_security_group_id
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "balancer_to_models" {
  security_group_id            = aws_security_group.balancer.id
  description                  = "the models"
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
  referenced_security_group_id = aws_security_group.this.id
  tags                         = local.tags
}

resource "aws_lb" "this" {
  name                       = "${var.name}-${var.tier}"
  load_balancer_type         = "network"
  internal                   = true
  subnets                    = var.private_subnet_ids
  security_groups            = [aws_security_group.balancer.id]
  enable_deletion_protection = true
  tags                       = local.tags
}

resource "aws_lb_target_group" "this" {
  name               = "${var.name}-${var.tier}"
  vpc_id             = var.vpc_id
  port               = var.port
  protocol           = "TCP"
  preserve_client_ip = false
  tags               = local.tags

  health_check {
    protocol = "HTTP"
    path     = "/health"
    interval = 10
  }
}

resource "aws_lb_listener" "this" {
  load_balancer_arn = aws_lb.this.arn
  port              = var.port
  protocol          = "TCP"
  tags              = local.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this.arn
  }
}

resource "aws_route53_record" "this" {
  zone_id = var.zone_id
  name    = "${var.tier}.${var.zone_name}"
  type    = "A"

  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = true
  }
}

# --- The machines --------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "this" {
  name_prefix        = "${var.name}-${var.tier}-"
  assume_role_policy = data.aws_iam_policy_document.assume.json
  tags               = local.tags
}

resource "aws_iam_role_policy_attachment" "ssm" {
  role       = aws_iam_role.this.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "this" {
  name_prefix = "${var.name}-${var.tier}-"
  role        = aws_iam_role.this.name
  tags        = local.tags
}

resource "aws_launch_template" "this" {
  name_prefix            = "${var.name}-${var.tier}-"
  image_id               = var.image_id
  instance_type          = var.instance_type
  update_default_version = true
  tags                   = local.tags

  iam_instance_profile {
    arn = aws_iam_instance_profile.this.arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  network_interfaces {
    associate_public_ip_address = false
    security_groups             = [aws_security_group.this.id]
    delete_on_termination       = true
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted             = true
      kms_key_id            = var.kms_key_arn == "" ? null : var.kms_key_arn
      volume_type           = "gp3"
      volume_size           = 200
      delete_on_termination = true
    }
  }

  tag_specifications {
    resource_type = "instance"
    tags          = merge(local.tags, { Name = "${var.name}-${var.tier}" })
  }
}

resource "aws_autoscaling_group" "this" {
  name                = "${var.name}-${var.tier}"
  min_size            = var.size
  max_size            = var.size
  desired_capacity    = var.size
  vpc_zone_identifier = var.private_subnet_ids
  target_group_arns   = [aws_lb_target_group.this.arn]
  health_check_type   = "ELB"

  launch_template {
    id      = aws_launch_template.this.id
    version = aws_launch_template.this.latest_version
  }

  tag {
    key                 = "Name"
    value               = "${var.name}-${var.tier}"
    propagate_at_launch = true
  }
}
