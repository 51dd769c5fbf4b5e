# terraform test: plans with mocked providers; nothing is made and nothing is paid for.
mock_provider "aws" {}
mock_provider "tailscale" {}

variables {
  region             = "ca-central-1"
  bedrock_model_arns = ["arn:aws:bedrock:ca-central-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0"]
  router_image_id    = "ami-router"
  gateway_image_id   = "ami-gateway"
  program            = { bucket = "artifacts", key = "postern.tgz", sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
}

run "the_gateway_is_a_node" {
  command = plan

  assert {
    condition     = strcontains(output.next, "curl http://ai/ask")
    error_message = "The next command asks the gateway by its name on the tailnet."
  }

  assert {
    condition     = length(aws_route.return_to_tailnet) == 0 && length(aws_vpc_security_group_egress_rule.router_to_gateway) == 0
    error_message = "A gateway that is a node needs no way back through the router."
  }

  assert {
    condition     = !strcontains(local.config, "routed")
    error_message = "A gateway that is a node believes no router."
  }

  assert {
    condition     = strcontains(local.config, "bedrock/anthropic.claude-3-haiku-20240307-v1:0")
    error_message = "The first model is the one that answers without a name."
  }
}

run "behind_a_subnet_router" {
  command = plan

  variables {
    mode = "subnet-router"
  }

  assert {
    condition     = length(aws_route.return_to_tailnet) == 1 && aws_route.return_to_tailnet[0].destination_cidr_block == "100.64.0.0/10"
    error_message = "With SNAT off, answers to the tailnet go back through the router."
  }

  assert {
    condition     = strcontains(local.config, "routed")
    error_message = "The gateway believes source addresses of this router alone."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.router_to_gateway[0].from_port == 8000
    error_message = "The router reaches the gateway's port and nothing else."
  }

  assert {
    condition     = strcontains(output.next, ":8000/health")
    error_message = "The next command asks the private address."
  }
}

run "the_mode_is_one_of_two" {
  command = plan

  variables {
    mode = "public"
  }

  expect_failures = [var.mode]
}

run "names_are_short_and_plain" {
  command = plan

  variables {
    name = "Postern Gateway"
  }

  expect_failures = [var.name]
}
