require 'google/apis/compute_v1'
V1 = Google::Apis::ComputeV1
service = V1::ComputeService.new
service.root_url = "#{ARGV[0]}/"
def check(got, wanted) = got == wanted || raise("#{got.inspect} where #{wanted.inspect} was expected")
done = ->(operation) { check(service.wait_global_operation('p', operation.name).status, 'DONE') }

names = %w[h0 h1 h2]
answers = {}
service.batch do |batch|
  names.each do |name|
    health_check = V1::HealthCheck.new(name: name, type: 'TCP', tcp_health_check: V1::TcpHealthCheck.new(port: 110))
    batch.insert_health_check('p', health_check) { |result, error| answers[name] = error || result }
  end
  batch.get_health_check('p', 'none') { |_, error| answers['none'] = error }
end
check(answers.keys.sort, names + ['none'])
check(answers['none'].status_code, 404)
names.each { |name| done.call(answers[name]) }

pages = service.fetch_all { |token| service.list_health_checks('p', max_results: 2, filter: 'name eq h.*', page_token: token) }
check(pages.map(&:name), names)

backend_service = V1::BackendService.new(name: 's', health_checks: ['global/healthChecks/h0'], protocol: 'TCP')
done.call(service.insert_backend_service('p', backend_service))
fetched = service.get_backend_service('p', 's')
change = V1::BackendService.new(timeout_sec: 60, fingerprint: fetched.fingerprint)
done.call(service.patch_backend_service('p', 's', change))
check(service.get_backend_service('p', 's').timeout_sec, 60)
begin
  service.patch_backend_service('p', 's', change)
  raise 'a change of an old version was taken'
rescue Google::Apis::ClientError => error
  check(error.status_code, 412)
end
proxy = V1::TargetTcpProxy.new(name: 't', service: fetched.self_link, proxy_header: 'PROXY_V1')
done.call(service.insert_target_tcp_proxy('p', proxy))
done.call(service.insert_global_address('p', V1::Address.new(name: 'a')))
rule = V1::ForwardingRule.new(name: 'r', target: 'global/targetTcpProxies/t', port_range: '110',
                              ip_address: service.get_global_address('p', 'a').address)
done.call(service.insert_global_forwarding_rule('p', rule))
check(service.get_global_forwarding_rule('p', 'r').port_range, '110-110')
check(service.get_global_forwarding_rule('p', 'r', fields: 'name').target, nil)
check(service.list_aggregated_addresses('p').items['global'].addresses.map(&:status), ['IN_USE'])
header = V1::TargetTcpProxiesSetProxyHeaderRequest.new(proxy_header: 'NONE')
done.call(service.set_target_tcp_proxy_proxy_header('p', 't', header))
check(service.get_target_tcp_proxy('p', 't').proxy_header, 'NONE')
answers = []
service.batch do |batch|
  batch.delete_global_forwarding_rule('p', 'r') { |result, error| answers << (error || result) }
  batch.delete_target_tcp_proxy('p', 't') { |result, error| answers << (error || result) }
  batch.delete_backend_service('p', 's') { |result, error| answers << (error || result) }
end
check(answers.map(&:operation_type), ['delete'] * 3)
puts 'ok'
