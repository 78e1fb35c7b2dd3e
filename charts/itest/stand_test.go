// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package itest

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"

	"sluice.dev/sluice/charts/helmtest"
)

// A stand is a control plane without our CRDs, and Helm.
type stand struct {
	*bed.Bed
}

func newStand(t *testing.T, o cluster.Options) *stand {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	return &stand{bed.Bare(t, o)}
}

// namespace creates a namespace in which only pods that keep to the strictest
// of the pod security standards are let in.
func (s *stand) namespace(name string) {
	s.Helper()
	s.Namespace(name)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`))
	if err := s.Client.Patch(s.Context(), ns, patch); err != nil {
		s.Fatal(err)
	}
}

func (s *stand) helm(namespace string) *helmtest.Helm {
	s.Helper()
	h, err := helmtest.New(s.Cluster.Kubeconfig(), namespace, log.New(io.Discard, "", 0))
	if err != nil {
		s.Fatal(err)
	}
	h.Wait = bed.Patience
	return h
}

func (s *stand) get(o client.Object, namespace, name string) error {
	return s.Client.Get(s.Context(), client.ObjectKey{Namespace: namespace, Name: name}, o)
}

// kubeconfig writes one with a token of a ServiceAccount, as the kubelet gives
// the controller's pod one.
func (s *stand) kubeconfig(namespace, account string) string {
	s.Helper()
	request := &authenticationv1.TokenRequest{}
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	if err := s.Client.SubResource("token").Create(s.Context(), sa, request); err != nil {
		s.Fatal(err)
	}
	config := s.Cluster.Config()
	file := clientcmdapi.NewConfig()
	file.Clusters["c"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos["c"] = &clientcmdapi.AuthInfo{Token: request.Status.Token}
	file.Contexts["c"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "c"}
	file.CurrentContext = "c"
	path := filepath.Join(s.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		s.Fatal(err)
	}
	return path
}

// A process is what the Deployment's container runs, on this machine.
type process struct {
	log  string
	stop func()
}

// run runs the container of a Deployment as the kubelet would: with its
// arguments, its environment and a token of its ServiceAccount, and with ports
// of its own. env is added.
func (s *stand) run(d *appsv1.Deployment, metrics, health int, env ...string) *process {
	s.Helper()
	program := os.Getenv("SLUICE_BIN")
	if program == "" {
		s.Fatal("SLUICE_BIN is not set; run `make test-chart`")
	}
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	args := make([]string, 0, len(c.Args)+1)
	for _, a := range c.Args {
		args = append(args, strings.ReplaceAll(a, "$(POD_NAMESPACE)", d.Namespace))
	}
	args = append(args, "--kubeconfig="+s.kubeconfig(d.Namespace, pod.ServiceAccountName),
		fmt.Sprintf("--metricsPort=%d", metrics), fmt.Sprintf("--healthzPort=%d", health))
	p := &process{log: filepath.Join(s.TempDir(), "controller.log")}
	done := make(chan struct{})
	out, err := os.Create(p.log)
	if err != nil {
		s.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append([]string{"POD_NAMESPACE=" + d.Namespace, "HOME=" + s.TempDir()}, env...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	go func() {
		defer close(done)
		_ = cmd.Wait()
		_ = out.Close()
	}()
	p.stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-done
	}
	s.Cleanup(func() {
		p.stop()
		if s.Failed() {
			text, _ := os.ReadFile(p.log)
			s.Logf("the controller's log ends:\n%s", text[max(0, len(text)-3000):])
		}
	})
	return p
}

// leads waits until a controller is ready and says whether it leads.
func (s *stand) leads(metrics, health, want int) {
	s.Helper()
	s.Eventually("the controller is ready", func() error {
		if _, err := answer(health, "/healthz"); err != nil {
			return err
		}
		if _, err := answer(health, "/readyz"); err != nil {
			return err
		}
		page, err := answer(metrics, "/metrics")
		if line := fmt.Sprintf("leader_election_master_status{name=%q} %d\n", v1alpha1.LeaseName, want); err == nil && !strings.Contains(page, line) {
			err = fmt.Errorf("it does not say %s", line)
		}
		return err
	})
}

// freePort is a port that nobody listens on.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// answer asks for a page on this machine.
func answer(port int, path string) (string, error) {
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return string(body), err
}
