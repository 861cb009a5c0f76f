-- What the sample's organisation buys, and who buys it. Facts as data; no randomness.
-- Prices are per pricing unit, in the currency of the export. Weights are relative shares of usage rows.

-- Grain: one row per account; 0 is the payer, and no two payers share another. `share` of ten resources each.
CREATE TABLE account AS
SELECT
    account_number,
    lpad(CAST((payer + distance) % 1000000000000 AS VARCHAR), 12, '0') AS account_id, account_name, share
FROM (SELECT CAST(getvariable('payer_account') AS BIGINT) AS payer), (VALUES
    (0, 0, 'Acme Management', 1),
    (1, 11111110101, 'Acme Production', 4),
    (2, 333333222324, 'Acme Staging', 2),
    (3, 86419753199, 'Acme Data Platform', 1),
    (4, 444443333435, 'Acme Machine Learning', 1),
    (5, 555544444546, 'Acme Sandbox', 1)
) AS t(account_number, distance, account_name, share);

-- Grain: one row per region; usage types carry the prefix. `global` is where regionless SKUs are sold.
CREATE TABLE region AS SELECT * FROM (VALUES
    ('regional', 'us-east-1', '', 'US East (N. Virginia)', 4),
    ('regional', 'eu-west-1', 'EU-', 'EU (Ireland)', 3),
    ('regional', 'us-west-2', 'USW2-', 'US West (Oregon)', 2),
    ('regional', 'ap-southeast-2', 'APS2-', 'Asia Pacific (Sydney)', 1),
    ('global', NULL, '', NULL, 10)
) AS t(scope, region_code, prefix, location, region_weight);

-- Grain: one row per instance type, with its product attributes.
CREATE TABLE instance AS SELECT * FROM (VALUES
    ('t3.micro', 'General purpose', 0.5, '2', '1 GiB', 'Up to 5 Gigabit', 'Intel Skylake E5 2686 v5'),
    ('m5.large', 'General purpose', 4, '2', '8 GiB', 'Up to 10 Gigabit', 'Intel Xeon Platinum 8175'),
    ('m5.2xlarge', 'General purpose', 16, '8', '32 GiB', 'Up to 10 Gigabit', 'Intel Xeon Platinum 8175'),
    ('c5.xlarge', 'Compute optimized', 8, '4', '8 GiB', 'Up to 10 Gigabit', 'Intel Xeon Platinum 8124M'),
    ('r6g.large', 'Memory optimized', 4, '2', '16 GiB', 'Up to 10 Gigabit', 'AWS Graviton2 Processor'),
    ('db.r5.large', 'Memory optimized', 4, '2', '16 GiB', 'Up to 10 Gigabit', 'Intel Xeon Platinum 8175'),
    ('cache.r6g.large', 'Memory optimized', 4, '2', '13.07 GiB', 'Up to 10 Gigabit', 'AWS Graviton2 Processor')
) AS t(instance_type, instance_family, normalization_factor, vcpu, memory, network, processor);

-- Grain: one row per SKU before regions. `months`: all, or only odd or even calendar months (the columns
-- of an export follow its usage). `meter`: how the amount of one hour is drawn. Weight 0: never drawn,
-- only used by the lines that name it. In `resource_pattern`: {r} region, {a} account, {x} hex, {n} name.
CREATE TABLE sku AS SELECT row_number() OVER () - 1 AS sku_number, * FROM (VALUES
    ('AmazonEC2', 'Amazon Elastic Compute Cloud', 'Compute Instance', 'BoxUsage:t3.micro', 'RunInstances', 'regional', 'Hrs', 0.0104, 'hours', 60, 'all', 't3.micro', 'i-0{x}', '$0.0104 per On Demand Linux t3.micro Instance Hour', NULL),
    ('AmazonEC2', 'Amazon Elastic Compute Cloud', 'Compute Instance', 'BoxUsage:m5.large', 'RunInstances', 'regional', 'Hrs', 0.096, 'hours', 70, 'all', 'm5.large', 'i-0{x}', '$0.096 per On Demand Linux m5.large Instance Hour', NULL),
    ('AmazonEC2', 'Amazon Elastic Compute Cloud', 'Compute Instance', 'BoxUsage:m5.2xlarge', 'RunInstances', 'regional', 'Hrs', 0.384, 'hours', 20, 'all', 'm5.2xlarge', 'i-0{x}', '$0.384 per On Demand Linux m5.2xlarge Instance Hour', NULL),
    ('AmazonEC2', 'Amazon Elastic Compute Cloud', 'Compute Instance', 'BoxUsage:c5.xlarge', 'RunInstances', 'regional', 'Hrs', 0.17, 'hours', 40, 'all', 'c5.xlarge', 'i-0{x}', '$0.17 per On Demand Linux c5.xlarge Instance Hour', NULL),
    ('AmazonEC2', 'Amazon Elastic Compute Cloud', 'Compute Instance', 'BoxUsage:r6g.large', 'RunInstances', 'regional', 'Hrs', 0.1008, 'hours', 30, 'all', 'r6g.large', 'i-0{x}', '$0.1008 per On Demand Linux r6g.large Instance Hour', NULL),
    ('AmazonEC2', 'Amazon Elastic Compute Cloud', 'Compute Instance', 'SpotUsage:c5.xlarge', 'RunInstances:SV001', 'regional', 'Hrs', 0.0581, 'hours', 25, 'all', 'c5.xlarge', 'i-0{x}', 'c5.xlarge Linux/UNIX Spot Instance-hour', NULL),
    ('AmazonEC2', 'Amazon Elastic Compute Cloud', 'Storage', 'EBS:VolumeUsage.gp3', 'CreateVolume-Gp3', 'regional', 'GB-Mo', 0.08, 'storage', 110, 'all', NULL, 'vol-0{x}', '$0.08 per GB-month of General Purpose (gp3) provisioned storage', MAP {'volume_type': 'General Purpose', 'volume_api_name': 'gp3', 'storage_media': 'SSD-backed', 'max_volume_size': '16 TiB'}),
    ('AmazonEC2', 'Amazon Elastic Compute Cloud', 'Storage Snapshot', 'EBS:SnapshotUsage', 'CreateSnapshot', 'regional', 'GB-Mo', 0.05, 'storage', 40, 'all', NULL, 'arn:aws:ec2:{r}:{a}:snapshot/snap-0{x}', '$0.05 per GB-Month of snapshot data stored', MAP {'storage_media': 'Amazon S3'}),
    ('AmazonEC2', 'Amazon Elastic Compute Cloud', 'NAT Gateway', 'NatGateway-Hours', 'NatGateway', 'regional', 'Hrs', 0.045, 'hours', 20, 'all', NULL, 'arn:aws:ec2:{r}:{a}:natgateway/nat-0{x}', '$0.045 per NAT Gateway Hour', MAP {'group': 'NGW:NatGateway', 'group_description': 'Hourly charge for NAT Gateways'}),
    ('AmazonEC2', 'Amazon Elastic Compute Cloud', 'NAT Gateway', 'NatGateway-Bytes', 'NatGateway', 'regional', 'GB', 0.045, 'bytes', 25, 'all', NULL, 'arn:aws:ec2:{r}:{a}:natgateway/nat-0{x}', '$0.045 per GB Data Processed by NAT Gateways', MAP {'group': 'NGW:NatGateway', 'group_description': 'Charge for per GB data processed by NatGateways'}),
    ('AmazonEC2', 'Amazon Elastic Compute Cloud', 'Data Transfer', 'DataTransfer-Regional-Bytes', 'InterZone-In', 'regional', 'GB', 0.01, 'bytes', 60, 'all', NULL, 'i-0{x}', '$0.010 per GB - regional data transfer - in/out/between EC2 AZs or using elastic IPs or ELB', MAP {'transfer_type': 'IntraRegion'}),
    ('AmazonEC2', 'Amazon Elastic Compute Cloud', 'Data Transfer', 'DataTransfer-Out-Bytes', 'RunInstances', 'regional', 'GB', 0.09, 'bytes', 50, 'all', NULL, 'i-0{x}', '$0.090 per GB - first 10 TB / month data transfer out beyond the global free tier', MAP {'transfer_type': 'AWS Outbound', 'to_location': 'External', 'to_location_type': 'Other'}),
    ('AWSELB', 'Elastic Load Balancing', 'Load Balancer-Application', 'LoadBalancerUsage', 'LoadBalancing:Application', 'regional', 'Hrs', 0.0225, 'hours', 30, 'all', NULL, 'arn:aws:elasticloadbalancing:{r}:{a}:loadbalancer/app/{n}/{x}', '$0.0225 per Application LoadBalancer-hour (or partial hour)', MAP {'group': 'ELB:Balancer'}),
    ('AmazonRDS', 'Amazon Relational Database Service', 'Database Instance', 'InstanceUsage:db.r5.large', 'CreateDBInstance:0014', 'regional', 'Hrs', 0.25, 'hours', 40, 'all', 'db.r5.large', 'arn:aws:rds:{r}:{a}:db:{n}', '$0.25 per RDS db.r5.large Single-AZ instance hour (or partial hour) running PostgreSQL', MAP {'database_engine': 'PostgreSQL', 'engine_code': '14', 'deployment_option': 'Single-AZ'}),
    ('AmazonRDS', 'Amazon Relational Database Service', 'Database Storage', 'RDS:GP2-Storage', 'CreateDBInstance:0014', 'regional', 'GB-Mo', 0.115, 'storage', 30, 'all', NULL, 'arn:aws:rds:{r}:{a}:db:{n}', '$0.115 per GB-month of provisioned gp2 storage running PostgreSQL', MAP {'database_engine': 'PostgreSQL', 'volume_type': 'General Purpose', 'deployment_option': 'Single-AZ'}),
    ('AmazonS3', 'Amazon Simple Storage Service', 'Storage', 'TimedStorage-ByteHrs', 'StandardStorage', 'regional', 'GB-Mo', 0.023, 'storage', 90, 'all', NULL, '{n}', '$0.023 per GB - first 50 TB / month of storage used', MAP {'storage_class': 'General Purpose', 'volume_type': 'Standard', 'durability': '99.999999999%', 'availability': '99.99%'}),
    ('AmazonS3', 'Amazon Simple Storage Service', 'API Request', 'Requests-Tier1', 'PutObject', 'regional', 'Requests', 0.000005, 'requests', 90, 'all', NULL, '{n}', '$0.005 per 1,000 PUT, COPY, POST, or LIST requests', MAP {'group': 'S3-API-Tier1', 'group_description': 'PUT/COPY/POST or LIST requests'}),
    ('AmazonS3', 'Amazon Simple Storage Service', 'API Request', 'Requests-Tier2', 'GetObject', 'regional', 'Requests', 0.0000004, 'requests', 90, 'all', NULL, '{n}', '$0.004 per 10,000 GET and all other requests', MAP {'group': 'S3-API-Tier2', 'group_description': 'GET and all other requests'}),
    ('AmazonS3', 'Amazon Simple Storage Service', 'Data Transfer', 'DataTransfer-Out-Bytes', 'GetObject', 'regional', 'GB', 0.09, 'bytes', 40, 'all', NULL, '{n}', '$0.090 per GB - first 10 TB / month data transfer out beyond the global free tier', MAP {'transfer_type': 'AWS Outbound', 'to_location': 'External', 'to_location_type': 'Other'}),
    ('AWSLambda', 'AWS Lambda', 'Serverless', 'Lambda-GB-Second', 'Invoke', 'regional', 'Lambda-GB-Second', 0.0000166667, 'seconds', 70, 'all', NULL, 'arn:aws:lambda:{r}:{a}:function:{n}', 'AWS Lambda - Total Compute', MAP {'group': 'AWS-Lambda-Duration', 'group_description': 'Invocation duration weighted by memory assigned to function'}),
    ('AWSLambda', 'AWS Lambda', 'Serverless', 'Request', 'Invoke', 'regional', 'Requests', 0.0000002, 'requests', 50, 'all', NULL, 'arn:aws:lambda:{r}:{a}:function:{n}', 'AWS Lambda - Total Requests', MAP {'group': 'AWS-Lambda-Requests', 'group_description': 'Invocation call for a Lambda function'}),
    ('AmazonDynamoDB', 'Amazon DynamoDB', 'Amazon DynamoDB PayPerRequest Throughput', 'ReadRequestUnits', 'PayPerRequestThroughput', 'regional', 'ReadRequestUnits', 0.00000025, 'requests', 45, 'all', NULL, 'arn:aws:dynamodb:{r}:{a}:table/{n}', '$0.25 per million read request units', MAP {'group': 'DDB-ReadUnits'}),
    ('AmazonDynamoDB', 'Amazon DynamoDB', 'Database Storage', 'TimedStorage-ByteHrs', 'StandardStorage', 'regional', 'GB-Mo', 0.25, 'storage', 15, 'all', NULL, 'arn:aws:dynamodb:{r}:{a}:table/{n}', '$0.25 per GB-Month of storage used beyond first free 25 GB', MAP {'volume_type': 'Amazon DynamoDB - Indexed DataStore'}),
    ('AmazonCloudWatch', 'AmazonCloudWatch', 'Data Payload', 'DataProcessing-Bytes', 'PutLogEvents', 'regional', 'GB', 0.5, 'bytes', 60, 'all', NULL, 'arn:aws:logs:{r}:{a}:log-group:/aws/{n}', '$0.50 per GB custom log data ingested', MAP {'group': 'Ingested Logs', 'group_description': 'Existing system, application, and custom log files'}),
    ('AmazonCloudWatch', 'AmazonCloudWatch', 'API Request', 'CW:Requests', 'GetMetricData', 'regional', 'Requests', 0.00001, 'requests', 40, 'all', NULL, NULL, '$0.01 per 1,000 requests', MAP {'group': 'Metric'}),
    ('awskms', 'AWS Key Management Service', 'Encryption Key', 'KMS-Requests', 'Decrypt', 'regional', 'Requests', 0.000003, 'requests', 40, 'all', NULL, 'arn:aws:kms:{r}:{a}:key/{x}', '$0.03 per 10,000 KMS requests', NULL),
    ('AWSQueueService', 'Amazon Simple Queue Service', 'API Request', 'Requests-Tier1', 'SendMessage', 'regional', 'Requests', 0.0000004, 'requests', 35, 'even', NULL, 'arn:aws:sqs:{r}:{a}:{n}', '$0.40 per million Amazon SQS standard requests', MAP {'queue_type': 'Standard', 'message_delivery_frequency': 'At Least Once', 'message_delivery_order': 'Best effort'}),
    ('AWSDirectoryService', 'AWS Directory Service', 'AWS Directory Service', 'MicrosoftAD-DC-Usage', 'CreateMicrosoftAD', 'regional', 'Hrs', 0.06, 'hours', 10, 'odd', NULL, 'arn:aws:ds:{r}:{a}:directory/d-{x}', '$0.060 per Microsoft AD domain controller hour', MAP {'directory_type': 'Microsoft AD', 'directory_size': 'Standard', 'directory_type_description': 'Managed Microsoft Active Directory'}),
    ('AmazonEKS', 'Amazon Elastic Container Service for Kubernetes', 'Compute', 'AmazonEKS-Hours:perCluster', 'CreateOperation', 'regional', 'Hours', 0.1, 'hours', 15, 'all', NULL, 'arn:aws:eks:{r}:{a}:cluster/{n}', '$0.10 per hour of cluster usage', NULL),
    ('AmazonElastiCache', 'Amazon ElastiCache', 'Cache Instance', 'NodeUsage:cache.r6g.large', 'CreateCacheCluster:0002', 'regional', 'Hrs', 0.206, 'hours', 15, 'all', 'cache.r6g.large', 'arn:aws:elasticache:{r}:{a}:cluster:{n}', '$0.206 per cache.r6g.large node hour running Redis', NULL),
    ('AWSGlue', 'AWS Glue', 'AWS Glue', 'ETL-DPU-Hour', 'Jobrun', 'regional', 'DPU-Hour', 0.44, 'hours', 12, 'all', NULL, 'arn:aws:glue:{r}:{a}:job/{n}', '$0.44 per Data Processing Unit-Hour for AWS Glue ETL job', MAP {'group': 'ETL Job run'}),
    ('AWSCloudTrail', 'AWS CloudTrail', 'Management Tools - AWS CloudTrail Free Events Recorded', 'FreeEventsRecorded', 'None', 'regional', 'Events', 0, 'requests', 30, 'all', NULL, NULL, '0.0 per free event recorded', NULL),
    ('AmazonCloudFront', 'Amazon CloudFront', 'Data Transfer', 'US-DataTransfer-Out-Bytes', 'GET', 'global', 'GB', 0.085, 'bytes', 30, 'all', NULL, 'arn:aws:cloudfront::{a}:distribution/E{x}', '$0.085 per GB - first 10 TB / month data transfer out', MAP {'transfer_type': 'CloudFront Outbound', 'from_location': 'United States', 'to_location': 'External'}),
    ('AmazonRoute53', 'Amazon Route 53', 'DNS Query', 'DNS-Queries', 'A', 'global', 'Queries', 0.0000004, 'requests', 25, 'all', NULL, 'arn:aws:route53:::hostedzone/Z{x}', '$0.40 per 1,000,000 queries for the first 1 Billion queries', MAP {'routing_type': 'Standard', 'routing_target': 'Global'}),
    ('8bmtd7hzc3wr9kq1x5vnjo2fe', 'Example Observability, Pro', NULL, 'MP:HostHours-Units', 'Hourly', 'global', 'Units', 0.031, 'hours', 12, 'all', NULL, NULL, 'AWS Marketplace hourly software usage|Example Observability, Pro|host', NULL),
    ('AWSSupportBusiness', 'AWS Support (Business)', 'AWS Support', 'Dollar', NULL, 'global', 'Dollar', 1, 'none', 0, 'all', NULL, NULL, 'AWS Support (Business) fee for the month', MAP {'who_can_open_cases': 'Unlimited contacts/unlimited cases', 'technical_support': '24x7 access to Cloud Support Engineers via email, chat & phone'}),
    ('AmazonEC2', 'Amazon Elastic Compute Cloud', 'Compute Instance', 'HeavyUsage:m5.large', 'RunInstances', 'regional', 'Hrs', 0, 'none', 0, 'all', 'm5.large', NULL, 'USD hourly fee per Linux/UNIX (Amazon VPC), m5.large instance', NULL),
    ('AmazonRDS', 'Amazon Relational Database Service', 'Database Instance', 'HeavyUsage:db.r5.large', 'CreateDBInstance:0014', 'regional', 'Hrs', 0, 'none', 0, 'all', 'db.r5.large', NULL, 'USD hourly fee per PostgreSQL, db.r5.large instance', NULL),
    ('ComputeSavingsPlans', 'Savings Plans for AWS Compute usage', NULL, 'ComputeSP:1yrNoUpfront', NULL, 'global', 'Hrs', 0, 'none', 0, 'all', NULL, NULL, '1 year No Upfront Compute Savings Plan', NULL),
    ('ComputeSavingsPlans', 'Savings Plans for AWS Compute usage', NULL, 'EC2SP:m5.1yrPartialUpfront', NULL, 'global', 'Hrs', 0, 'none', 0, 'all', NULL, NULL, '1 year Partial Upfront m5 EC2 Instance Savings Plan in us-east-1', NULL),
    ('AmazonEC2', 'Amazon Elastic Compute Cloud', NULL, NULL, NULL, 'global', NULL, 0, 'none', 0, 'all', NULL, NULL, NULL, NULL),
    ('8bmtd7hzc3wr9kq1x5vnjo2fe', 'Example Observability, Pro', NULL, NULL, NULL, 'global', NULL, 0, 'none', 0, 'all', NULL, NULL, NULL, NULL)
) AS t(product_code, product_name, family, usage_type, operation, scope, unit, price, meter, weight, months, instance_type, resource_pattern, description, attributes)
WHERE months = 'all' OR months = CASE month(getvariable('period_start')) % 2 WHEN 1 THEN 'odd' ELSE 'even' END;

-- Grain: one row per Savings Plan. `upfront_share` of every hour's commitment was paid at the start.
CREATE TABLE savings_plan AS SELECT * FROM (VALUES
    (0, 'ComputeSP:1yrNoUpfront', 'ComputeSavingsPlans', 'No Upfront', 0.0, NULL, 'Any', '5a0e8f8c-1f0b-4c5e-9a53-0d2c6c1e7b10'),
    (1, 'EC2SP:m5.1yrPartialUpfront', 'EC2InstanceSavingsPlans', 'Partial Upfront', 0.5, 'm5', 'us-east-1', 'c7d4a9b2-62d8-4f0e-8a1c-3b9f5e0d4a21')
) AS t(plan_number, usage_type, offering_type, payment_option, upfront_share, instance_family, plan_region, plan_uuid);

-- Grain: one row per fleet of identical instances that a Savings Plan covers.
CREATE TABLE fleet AS SELECT * FROM (VALUES
    (0, 0, 'BoxUsage:c5.xlarge', 'eu-west-1', 1), (1, 1, 'BoxUsage:m5.large', 'us-east-1', 1),
    (2, 0, 'BoxUsage:r6g.large', 'us-east-1', 3), (3, 1, 'BoxUsage:m5.2xlarge', 'us-east-1', 1),
    (4, 0, 'BoxUsage:c5.xlarge', 'us-west-2', 4), (5, 1, 'BoxUsage:m5.large', 'us-east-1', 2)
) AS t(fleet_number, plan_number, usage_type, region_code, account_number);

-- Grain: one row per reservation. Prices per reserved hour: what was paid upfront, and what recurs.
CREATE TABLE reservation AS SELECT * FROM (VALUES
    (0, 'BoxUsage:m5.large', 'HeavyUsage:m5.large', 'eu-west-1', 1, 'Partial Upfront', 0.02910959::DECIMAL(12, 8), 0.029::DECIMAL(12, 8), 'ec2', 'reserved-instances/3a2944f2-fbdc-4f9a-86f7-4b83dc6e058a'),
    (1, 'InstanceUsage:db.r5.large', 'HeavyUsage:db.r5.large', 'us-east-1', 1, 'No Upfront', 0, 0.174, 'rds', 'ri:ri-2023-05-10-08-14-41-337'),
    (2, 'BoxUsage:m5.large', 'HeavyUsage:m5.large', 'us-west-2', 3, 'All Upfront', 0.05719178, 0, 'ec2', 'reserved-instances/9be1a0c4-7d52-4a6e-b0de-51f77c2f3a02')
) AS t(reservation_number, usage_type, fee_usage_type, region_code, account_number, purchase_option, upfront_price, recurring_price, service, arn_end);
