package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"sync"

	compute "google.golang.org/api/compute/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func equal(got, wanted interface{}) {
	if g, w := fmt.Sprint(got), fmt.Sprint(wanted); g != w {
		log.Fatalf("%s where %s was expected", g, w)
	}
}

func main() {
	client, err := compute.NewService(context.Background(), option.WithEndpoint(os.Args[1]+"/compute/v1/"), option.WithoutAuthentication())
	check(err)
	done := func(operation *compute.Operation, err error) {
		check(err)
		if operation.Zone != "" {
			operation, err = client.ZoneOperations.Wait("p", "us-central1-b", operation.Name).Do()
		} else if operation.Region != "" {
			operation, err = client.RegionOperations.Wait("p", "us-central1", operation.Name).Do()
		} else {
			operation, err = client.GlobalOperations.Wait("p", operation.Name).Do()
		}
		check(err)
		equal(operation.Status, "DONE")
		if operation.Error != nil {
			log.Fatal(operation.Error.Errors[0].Message)
		}
	}
	refused := func(code int, err error) {
		refusal, isRefusal := err.(*googleapi.Error)
		if !isRefusal {
			log.Fatalf("%v where status %d was expected", err, code)
		}
		equal(refusal.Code, code)
	}
	zone := "us-central1-b"
	done(client.Instances.Insert("p", zone, &compute.Instance{
		Name:              "i",
		MachineType:       "zones/us-central1-b/machineTypes/n1-standard-1",
		NetworkInterfaces: []*compute.NetworkInterface{{NetworkIP: "10.0.0.2"}},
	}).Do())
	done(client.InstanceGroups.Insert("p", zone, &compute.InstanceGroup{Name: "g"}).Do())
	done(client.InstanceGroups.SetNamedPorts("p", zone, "g", &compute.InstanceGroupsSetNamedPortsRequest{
		NamedPorts: []*compute.NamedPort{{Name: "tcp110", Port: 110}},
	}).Do())
	done(client.InstanceGroups.AddInstances("p", zone, "g", &compute.InstanceGroupsAddInstancesRequest{
		Instances: []*compute.InstanceReference{{Instance: "zones/us-central1-b/instances/i"}},
	}).Do())

	// Several at once.
	var all sync.WaitGroup
	for _, name := range []string{"h0", "h1", "h2", "h3", "h4"} {
		all.Add(1)
		go func(name string) {
			defer all.Done()
			check := &compute.HealthCheck{Name: name, Type: "TCP", TcpHealthCheck: &compute.TCPHealthCheck{Port: 110}}
			done(client.HealthChecks.Insert("p", check).Do())
		}(name)
	}
	all.Wait()
	names := []string{}
	check(client.HealthChecks.List("p").Filter("name eq h[0-3]").MaxResults(3).Pages(context.Background(), func(page *compute.HealthCheckList) error {
		for _, item := range page.Items {
			names = append(names, item.Name)
		}
		return nil
	}))
	equal(names, []string{"h0", "h1", "h2", "h3"})

	done(client.BackendServices.Insert("p", &compute.BackendService{
		Name:         "s",
		Protocol:     "TCP",
		PortName:     "tcp110",
		HealthChecks: []string{"global/healthChecks/h0"},
		Backends:     []*compute.Backend{{Group: "zones/us-central1-b/instanceGroups/g", BalancingMode: "UTILIZATION", MaxUtilization: 0.8}},
	}).Do())
	service, err := client.BackendServices.Get("p", "s").Do()
	check(err)
	done(client.BackendServices.Patch("p", "s", &compute.BackendService{TimeoutSec: 60, Fingerprint: service.Fingerprint}).Do())
	_, err = client.BackendServices.Update("p", "s", service).Do()
	refused(412, err)
	service, err = client.BackendServices.Get("p", "s").Do()
	check(err)
	equal([]interface{}{service.TimeoutSec, service.Backends[0].MaxUtilization}, []interface{}{60, 0.8})
	service.TimeoutSec = 70
	done(client.BackendServices.Update("p", "s", service).Do())
	health, err := client.BackendServices.GetHealth("p", "s", &compute.ResourceGroupReference{Group: "zones/us-central1-b/instanceGroups/g"}).Do()
	check(err)
	equal([]interface{}{health.HealthStatus[0].IpAddress, health.HealthStatus[0].Port}, []interface{}{"10.0.0.2", 110})

	done(client.TargetTcpProxies.Insert("p", &compute.TargetTcpProxy{Name: "t", Service: service.SelfLink, ProxyHeader: "PROXY_V1"}).Do())
	done(client.TargetTcpProxies.SetProxyHeader("p", "t", &compute.TargetTcpProxiesSetProxyHeaderRequest{ProxyHeader: "NONE"}).Do())
	done(client.GlobalAddresses.Insert("p", &compute.Address{Name: "a", IpVersion: "IPV4"}).Do())
	done(client.Addresses.Insert("p", "us-central1", &compute.Address{Name: "b"}).Do())
	done(client.GlobalForwardingRules.Insert("p", &compute.ForwardingRule{
		Name: "r", IPAddress: "global/addresses/a", PortRange: "110", Target: "global/targetTcpProxies/t",
	}).Do())
	rule, err := client.GlobalForwardingRules.Get("p", "r").Fields("name", "portRange").Do()
	check(err)
	equal([]string{rule.Name, rule.PortRange, rule.Target}, []string{"r", "110-110", ""})
	addresses, err := client.Addresses.AggregatedList("p").Do()
	check(err)
	equal(addresses.Items["global"].Addresses[0].Status, "IN_USE")
	equal(addresses.Items["regions/us-central1"].Addresses[0].Name, "b")

	_, err = client.HealthChecks.Get("p", "none").Do()
	refused(404, err)
	_, err = client.HealthChecks.Delete("p", "h0").Do()
	refused(400, err)
	done(client.GlobalForwardingRules.Delete("p", "r").Do())
	done(client.TargetTcpProxies.Delete("p", "t").Do())
	done(client.BackendServices.Delete("p", "s").Do())
	fmt.Println("ok")
}
