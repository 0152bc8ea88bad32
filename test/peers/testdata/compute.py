import json, sys
import libcloud.security
libcloud.security.CA_CERTS_PATH = sys.argv[1]
from libcloud.compute.drivers.gce import GCENodeDriver, GCEBackend
from libcloud.common.google import GoogleBaseConnection, ResourceNotFoundError, ResourceExistsError, InvalidRequestError, GoogleBaseError

GoogleBaseConnection.poll_interval = 0.1
gce = GCENodeDriver('unused', 'unused', project=sys.argv[4], datacenter='us-central1-b', auth_type='GCE',
                    credential_file=sys.argv[2])
certificate = json.load(open(sys.argv[3]))

class Made:
    """What the driver has no words for, made by its own connection."""
    def __init__(self, collection, body):
        gce.connection.async_request('/global/' + collection, method='POST', data=body)
        self.name, self.extra = body['name'], gce.connection.request('/global/%s/%s' % (collection, body['name'])).object

# Places, sizes and images
assert gce.zone.name == 'us-central1-b' and gce.region.name == 'us-central1'
assert 'n1-standard-1' in [size.name for size in gce.list_sizes()], gce.list_sizes()
assert [location.name for location in gce.list_locations() if location.name == 'us-central1-b']
project = gce.ex_get_project()
assert project.name == sys.argv[4], project
assert [network.name for network in gce.ex_list_networks()] == ['default']
image = gce.ex_get_image_from_family('debian-12', ex_project_list=['debian-cloud'])

# Nodes
node = gce.create_node('my-backend', 'n1-standard-1', image, internal_ip='10.128.0.2', ex_tags=['tcp-lb'],
                       ex_metadata={'cost': 'low'}, ex_labels={'env': 'test'}, use_existing_disk=False)
assert (node.state, node.private_ips, node.extra['labels']) == ('running', ['10.128.0.2'], {'env': 'test'}), node.extra
assert gce.ex_set_node_tags(node, ['tcp-lb', 'other'])
node = gce.ex_get_node('my-backend')
assert sorted(node.extra['tags']) == ['other', 'tcp-lb'], node.extra['tags']
assert gce.ex_set_node_labels(node, {'env': 'live'})
assert gce.ex_set_node_metadata(gce.ex_get_node('my-backend'), {'cost': 'high'})
node = gce.ex_get_node('my-backend')
assert node.extra['labels'] == {'env': 'live'} and node.extra['metadata']['items'] == [{'key': 'cost', 'value': 'high'}]
assert gce.ex_get_serial_output(node) == ''
assert gce.stop_node(node) and gce.ex_get_node('my-backend').state == 'stopped'
assert gce.start_node(node) and gce.reboot_node(node)
assert [one.name for one in gce.list_nodes()] == ['my-backend']
assert [one.name for one in gce.list_nodes(ex_zone='us-central1-b')] == ['my-backend']

# Groups
group = gce.ex_create_instancegroup('my-instance-group', 'us-central1-b', named_ports=[{'name': 'tcp110', 'port': 110}])
assert gce.ex_instancegroup_add_instances(group, [node])
assert [one.name for one in gce.ex_instancegroup_list_instances(group)] == ['my-backend']
assert gce.ex_instancegroup_set_named_ports(group, [{'name': 'tcp110', 'port': 111}])
group = gce.ex_get_instancegroup('my-instance-group')
assert group.named_ports == [{'name': 'tcp110', 'port': 111}], group.named_ports
assert [one.name for one in gce.ex_list_instancegroups('us-central1-b')] == ['my-instance-group']

# The load balancer. The driver cannot read what refers to a health check or to a TCP proxy: it knows those of HTTP only
assert gce.ex_list_healthchecks() == []
service = gce.ex_create_backendservice('my-tcp-lb', [], [GCEBackend(group, max_utilization=0.8)], protocol='TCP',
                                       timeout_sec=300, port_name='tcp110', port=110)
assert (service.timeout, service.port_name, service.protocol) == (300, 'tcp110', 'TCP')
assert [one.name for one in gce.ex_list_backendservices()] == ['my-tcp-lb']
proxy = Made('targetTcpProxies', {'name': 'proxy', 'service': service.extra['selfLink'], 'proxyHeader': 'PROXY_V1'})
address = gce.ex_create_address('lb-static-ipv4', region='global')
rule = Made('forwardingRules', {'name': 'rule', 'target': proxy.extra['selfLink'], 'portRange': '110',
                                'IPAddress': address.address, 'IPProtocol': 'TCP'})
assert (rule.extra['IPAddress'], rule.extra['portRange']) == (address.address, '110-110'), rule.extra
assert gce.ex_get_address('lb-static-ipv4', 'global').extra['status'] == 'IN_USE'
assert [one.name for one in gce.ex_list_addresses('all')] == ['lb-static-ipv4']
regional = gce.ex_create_address('regional', region='us-central1')
assert sorted(one.name for one in gce.ex_list_addresses('all')) == ['lb-static-ipv4', 'regional']
ssl = gce.ex_create_sslcertificate('cert', **certificate)
assert ssl.certificate == certificate['certificate']
assert [one.name for one in gce.ex_list_sslcertificates()] == ['cert']

firewall = gce.ex_create_firewall('fw', [{'IPProtocol': 'tcp', 'ports': ['110']}], source_ranges=['35.191.0.0/16'],
                                  target_tags=['tcp-lb'])
firewall.allowed = [{'IPProtocol': 'tcp', 'ports': ['110', '995']}]
assert gce.ex_update_firewall(firewall).allowed[0]['ports'] == ['110', '995']
assert [one.name for one in gce.ex_list_firewalls()] == ['fw']

# What is not there is empty, and refusals are those that the driver knows
assert [one.name for one in gce.list_volumes()] == ['my-backend']
for empty in (gce.ex_list_snapshots(), gce.ex_list_routes(), gce.ex_list_subnetworks('all'),
              gce.ex_list_targetpools(), gce.ex_list_urlmaps(), gce.ex_list_instancetemplates(),
              gce.ex_list_instancegroupmanagers(), gce.ex_list_targethttpproxies(), gce.ex_list_autoscalers(),
              gce.ex_list_targetinstances()):
    assert empty == [], empty
def refused(kind, call, *args, **fields):
    try: call(*args, **fields)
    except kind as error: return error
    raise AssertionError('%s was taken' % call.__name__)
refused(ResourceNotFoundError, gce.ex_get_backendservice, 'none')
refused(ResourceExistsError, gce.ex_create_address, 'lb-static-ipv4', region='global')
refused(GoogleBaseError, gce.ex_destroy_backendservice, service)
assert 'Must be a match of regex' in str(refused(InvalidRequestError, gce.ex_create_address, 'Bad', region='global').value)

# Several at once, and away with everything
nodes = gce.ex_create_multiple_nodes('many', 'n1-standard-1', image, 3, use_existing_disk=False)
assert [one.name for one in nodes] == ['many-000', 'many-001', 'many-002'], nodes
assert gce.ex_destroy_multiple_nodes(nodes) == [True] * 3
gce.connection.async_request('/global/forwardingRules/rule', method='DELETE')
gce.connection.async_request('/global/targetTcpProxies/proxy', method='DELETE')
assert gce.ex_destroy_address(gce.ex_get_address('lb-static-ipv4', 'global'))
assert gce.ex_destroy_address(regional) and gce.ex_destroy_sslcertificate(ssl) and gce.ex_destroy_firewall(firewall)
assert gce.ex_destroy_backendservice(service)
assert gce.ex_instancegroup_remove_instances(group, [node]) and gce.ex_destroy_instancegroup(group)
assert gce.destroy_node(node)
assert gce.list_nodes() == []
print('ok')
