# terraform test: plans with mocked providers; nothing is made and nothing is paid for.
mock_provider "aws" {}

variables {
  region             = "eu-central-1"
  public_name        = "ai.example.com"
  certificate_arn    = "arn:aws:acm:eu-central-1:111122223333:certificate/x"
  issuer             = { url = "https://id.example.com/", audience = "ai", jwks_url = "https://id.example.com/.well-known/jwks.json" }
  bedrock_model_arns = ["arn:aws:bedrock:eu-central-1::foundation-model/anthropic.claude-x"]
  gateway_image_id   = "ami-gateway"
  instant            = { image_id = "ami-a", instance_type = "g6.xlarge", size = 2 }
  thinking           = { image_id = "ami-b", instance_type = "p5.4xlarge", size = 1 }
  access_log_bucket  = "logs"
}

run "callers_come_by_the_balancer" {
  command = plan

  assert {
    condition     = strcontains(local.config, "\"address\":\"0.0.0.0:8000\"") && strcontains(local.config, "\"tls\":\"balancer\"")
    error_message = "The gateway listens on 8000 for the balancer alone."
  }

  assert {
    condition     = strcontains(local.config, "10.1.0.0/24")
    error_message = "The balancer's subnets are the only proxies that count."
  }

  assert {
    condition     = !strcontains(local.policy, "\"*\"")
    error_message = "The policy lets nobody in whom it does not name."
  }
}

run "a_public_name_is_a_short_name" {
  command = plan

  variables {
    name = "a-name-that-is-too-long-for-load-balancers"
  }

  expect_failures = [var.name]
}
