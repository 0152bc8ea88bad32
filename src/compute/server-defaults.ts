/**
 * What Google's servers add to a resource that leaves it out, and show from then on, by collection. What else may be left
 * out is shown only when it was given: Terraform compares what it gave with what it reads, and would never be done.
 *
 * Sources: [doc] the documentation of the field in Google's discovery document of compute v1; [tf] HashiCorp's provider
 * (google/services/compute, August 2026), which takes the field as computed or has the same default; [gcloud] answers to
 * gcloud, and what it sends itself.
 */
export const serverDefaults = {
  addresses: {
    /** [doc] "If unspecified, defaults to EXTERNAL"; [tf] */
    addressType: 'EXTERNAL',
    /** [doc] "If this field is not specified, it is assumed to be PREMIUM"; [tf] computed */
    networkTier: 'PREMIUM',
  },
  forwardingRules: {
    /** [tf] computed; [gcloud] shows TCP for rules of target proxies */
    IPProtocol: 'TCP',
    /** [doc] EXTERNAL is the scheme of the classic load balancer; gcloud and Terraform always send one */
    loadBalancingScheme: 'EXTERNAL',
    /** [doc] "If this field is not specified, it is assumed to be PREMIUM"; [tf] computed */
    networkTier: 'PREMIUM',
  },
  targetTcpProxies: {
    /** [doc] "The default is NONE"; [tf] */
    proxyHeader: 'NONE',
  },
  targetSslProxies: {
    /** [doc] "The default is NONE"; [tf] */
    proxyHeader: 'NONE',
  },
  sslCertificates: {
    /** [doc] "If not specified, the certificate is self-managed" */
    type: 'SELF_MANAGED',
  },
  sslPolicies: {
    /** [tf], [gcloud] */
    profile: 'COMPATIBLE',
    /** [tf], [gcloud] */
    minTlsVersion: 'TLS_1_0',
  },
  backendServices: {
    /** [tf] computed. Google's is HTTP, which is not served here. */
    protocol: 'TCP',
    /** [doc] "The default is 30 seconds"; [tf] computed */
    timeoutSec: 30,
    /** [gcloud] shows 0 where none was given */
    'connectionDraining.drainingTimeoutSec': 0,
    /** [gcloud] leaves it out for EXTERNAL and gets it back; [tf] always sends it */
    loadBalancingScheme: 'EXTERNAL',
    /** [doc] "The default is NONE"; [tf] computed */
    sessionAffinity: 'NONE',
    /** [tf], and Ansible's module */
    'backends[].balancingMode': 'UTILIZATION',
    /** [doc] "The default value is 1"; [tf] */
    'backends[].capacityScaler': 1,
    /** [doc] "The default value is 1.0", of a log that is given; [tf] */
    'logConfig.sampleRate': 1,
  },
  /** Not known of any: Google says what holds without a field, and not that it is shown. */
  serviceLbPolicies: {},
  healthChecks: {
    /** [doc] "The default value is 5 seconds"; [tf] */
    checkIntervalSec: 5,
    /** [doc] "The default value is 5 seconds"; [tf] */
    timeoutSec: 5,
    /** [doc] "The default value is 2"; [tf] */
    healthyThreshold: 2,
    /** [doc] "The default value is 2"; [tf] */
    unhealthyThreshold: 2,
    /** [doc] "The default value is 80"; [tf] sends it */
    'tcpHealthCheck.port': 80,
    'httpHealthCheck.port': 80,
    /** [doc] "The default value is 443"; [tf] sends it */
    'sslHealthCheck.port': 443,
    'httpsHealthCheck.port': 443,
    'http2HealthCheck.port': 443,
    /** [doc] "The default value is /"; [tf]; of http, https and http2 */
    'httpHealthCheck.requestPath': '/',
    /** [doc] "The default is NONE"; [tf]; of each type but grpc */
    'tcpHealthCheck.proxyHeader': 'NONE',
  },
  instanceGroups: {},
  networkEndpointGroups: {
    /** [tf], [gcloud] */
    networkEndpointType: 'GCE_VM_IP_PORT',
  },
  instances: {
    /** [gcloud] sends the one of the default */
    machineType: 'n1-standard-1',
  },
  firewalls: {
    /** [doc] "The default is INGRESS"; [tf] computed */
    direction: 'INGRESS',
    /** [doc] "The default value is 1000"; [tf] */
    priority: 1000,
    /** [doc] "If this is unspecified, the firewall rule will be enabled"; [gcloud] shows false */
    disabled: false,
    /** [gcloud] "--source-ranges defaults to 0.0.0.0/0", where no tags are given either */
    sourceRanges: ['0.0.0.0/0'],
    /** [tf] computed; of EGRESS */
    destinationRanges: ['0.0.0.0/0'],
  },
} as const
