output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "vpc_cidr" {
  description = "Its address range."
  value       = aws_vpc.this.cidr_block
}

output "public_subnet_ids" {
  description = "The public subnets."
  value       = aws_subnet.public[*].id
}

output "private_subnet_ids" {
  description = "The private subnets."
  value       = aws_subnet.private[*].id
}

output "private_subnet_cidrs" {
  description = "Address ranges of the private subnets: what a subnet router advertises."
  value       = aws_subnet.private[*].cidr_block
}

output "private_route_table_id" {
  description = "Routes of the private subnets; the return route to the tailnet goes here."
  value       = aws_route_table.private.id
}

output "endpoint_security_group_id" {
  description = "The group of the interface endpoints; a client needs a rule in it, and one to it."
  value       = aws_security_group.endpoints.id
}

output "s3_prefix_list_id" {
  description = "Addresses of S3 behind the gateway endpoint, for the egress rule of an instance that fetches its program."
  value       = aws_vpc_endpoint.s3.prefix_list_id
}
