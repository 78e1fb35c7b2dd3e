// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package notify_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/outbox"
)

func TestWhatIsWrongIsNamedAndStopsNothingElse(t *testing.T) {
	t.Parallel()
	good := map[string]string{"service.slack": "token: $key\n", "template.t": "message: x\n", "trigger.on-rollout-aborted": "- send: [t]\n", "context": "of another tool"}
	for name, tc := range map[string]struct {
		key, text string
		line      int
		want      string
	}{
		"yaml that is none":              {"service.webhook.a", "url: x\n  y: z\n", 2, "mapping values are not allowed"},
		"an unknown field of a service":  {"service.webhook.a", "url: x\nheader: []\n", 2, "there is no field header; there are basicAuth, headers"},
		"a field further down":           {"service.servicenow", "url: x\noauth:\n  clientId: y\n", 3, "there is no field oauth.clientId; there are clientID"},
		"an unknown kind":                {"service.smoke", "x: y\n", 0, `there is no kind of service "smoke"; there are email`},
		"a kind of Argo's":               {"service.telegram", "token: y\n", 0, "services of the kind telegram are not in this version"},
		"a name with a dot":              {"service.webhook.a.b", "url: y\n", 0, "service.KIND.NAME"},
		"a trigger that is no list":      {"trigger.x", "send: [t]\n", 1, "a trigger is a list"},
		"a trigger's unknown field":      {"trigger.x", "- send: [t]\n- if: a\n", 2, "there is no field if"},
		"a condition that is none":       {"trigger.x", "- when: a ==\n  send: [t]\n", 1, "when: unexpected token"},
		"a condition that may run away":  {"trigger.x", "- when: all(rollout.a, {any(#, {any(#, {# > 1})})})\n  send: [t]\n", 1, "predicates are nested more than 2 deep"},
		"a range":                        {"trigger.x", "- when: len(1..1000000000) > 1\n  send: [t]\n", 1, "ranges (..) are not allowed"},
		"oncePer that is none":           {"trigger.x", "- oncePer: )\n  send: [t]\n", 1, "oncePer: unexpected token"},
		"a template that is not there":   {"trigger.x", "- send: [u]\n", 0, `it sends the template "u", and there is no key template.u`},
		"a template that is no map":      {"template.u", "hello\n", 1, "a template is a map"},
		"a template's unknown kind":      {"template.u", "message: x\nslak:\n  a: b\n", 2, `there is no kind of service "slak"`},
		"a template's unknown field":     {"template.u", "slack:\n  attachment: b\n", 2, "there is no field attachment; there are attachments"},
		"a webhook's unknown field":      {"template.u", "webhook:\n  a:\n    methd: b\n", 3, "there is no field methd"},
		"a template that does not parse": {"template.u", "message: ok\nemail:\n  subject: '{{ .a'\n", 3, "unclosed action"},
		"an unknown function":            {"template.u", "message: '{{ getHostByName .a }}'\n", 1, `function "getHostByName" not defined`},
		"loops in loops":                 {"template.u", "message: '{{ range .a }}{{ range . }}{{ range . }}{{ range . }}{{ end }}{{ end }}{{ end }}{{ end }}'\n", 1, "loops are nested"},
		"an alias":                       {"template.u", "a: &a x\nmessage: *a\n", 2, "aliases (*a) are not allowed"},
		"a selector that is none":        {"subscriptions", "- recipients: [slack:a]\n  selector: 'a in b'\n", 0, "subscription 1: selector"},
		"triggers that are no list":      {"defaultTriggers", "a: b\n", 1, "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := maps.Clone(good)
			data[tc.key] = tc.text
			c := notify.Parse("argo-rollouts", data, kinds())
			if len(c.Problems) != 1 {
				t.Fatalf("the problems are %v", c.Problems)
			}
			p := c.Problems[0]
			if p.ConfigMap != "argo-rollouts/argo-rollouts-notification-configmap" || p.Key != tc.key || p.Line != tc.line || !strings.Contains(p.Text, tc.want) {
				t.Errorf("got %q (line %d), want line %d and %q", p, p.Line, tc.line, tc.want)
			}
			if got := routes(t, []*notify.Config{c}, map[string]string{"notifications.argoproj.io/subscribe.on-rollout-aborted.slack": "ops"}, nil); !slices.Equal(got, []string{"slack:ops 0 t"}) {
				t.Errorf("the rest is routed to %q", got)
			}
		})
	}
}

func aborted() outbox.Delivery {
	return outbox.Delivery{Notice: v1alpha1.Notice{Number: 7, Reason: "RolloutAborted", Message: "m", Revision: "6d5f9c", Attempt: 1, At: metav1.NewTime(noon)}}
}

func routes(t *testing.T, configs []*notify.Config, annotations, labels map[string]string) []string {
	t.Helper()
	s := subject("", "")
	s.Annotations, s.Labels = annotations, labels
	routed, problems := notify.Route(configs, aborted(), s)
	if wanted := notify.Wanted(configs, labels, annotations, "RolloutAborted"); wanted != (len(routed)+len(problems) > 0) && len(routed) > 0 {
		t.Errorf("wanted is %t for %d messages", wanted, len(routed))
	}
	var out []string
	for _, r := range routed {
		line := r.To + " " + strconv.Itoa(int(r.Part)) + " " + strings.Join(r.Templates, "+")
		if r.Once != "" {
			line += " once"
		}
		out = append(out, line)
	}
	for _, p := range problems {
		out = append(out, "! "+p)
	}
	return out
}

func TestWhoIsToldWhat(t *testing.T) {
	t.Parallel()
	const prefix = "notifications.argoproj.io/"
	base := map[string]string{
		"service.slack": "token: x\n", "service.webhook.hook": "url: x\n", "template.t": "message: x\n", "template.u": "message: x\n",
		"trigger.on-rollout-aborted": "- send: [t]\n",
	}
	for name, tc := range map[string]struct {
		config              map[string]string
		annotations, labels map[string]string
		want                []string
	}{
		"nobody":                           {},
		"an annotation":                    {annotations: map[string]string{prefix + "subscribe.on-rollout-aborted.slack": "a;  b ;;"}, want: []string{"slack:a 0 t", "slack:b 0 t"}},
		"without a recipient":              {annotations: map[string]string{prefix + "subscribe.on-rollout-aborted.hook": ""}, want: []string{"hook: 0 t"}},
		"another trigger":                  {annotations: map[string]string{prefix + "subscribe.on-rollout-paused.slack": "a"}},
		"no trigger, no default":           {annotations: map[string]string{prefix + "subscribe.slack": "a"}},
		"a default trigger":                {config: map[string]string{"defaultTriggers": "[on-rollout-aborted]\n"}, annotations: map[string]string{prefix + "subscribe.slack": "a"}, want: []string{"slack:a 0 t"}},
		"a service's own default trigger":  {config: map[string]string{"defaultTriggers": "[on-rollout-aborted]\n", "defaultTriggers.slack": "[on-rollout-paused]\n"}, annotations: map[string]string{prefix + "subscribe.slack": "a", prefix + "subscribe.hook": ""}, want: []string{"hook: 0 t"}},
		"a list in an annotation":          {annotations: map[string]string{prefix + "subscriptions": "- trigger: [on-rollout-aborted, on-rollout-paused]\n  destinations:\n  - service: slack\n    recipients: [a, b]\n  - {service: hook}\n"}, want: []string{"slack:a 0 t", "slack:b 0 t", "hook: 0 t"}},
		"a list that is none":              {annotations: map[string]string{prefix + "subscriptions": "nonsense"}},
		"everybody by default":             {config: map[string]string{"subscriptions": "- recipients: [slack:a, hook]\n  triggers: [on-rollout-aborted]\n"}, want: []string{"slack:a 0 t", "hook: 0 t"}},
		"a recipient with colons":          {config: map[string]string{"subscriptions": "- recipients: ['hook:https://x:1']\n  triggers: [on-rollout-aborted]\n"}, want: []string{"hook:https://x:1 0 t"}},
		"those with a label":               {config: map[string]string{"subscriptions": "- recipients: [slack:a]\n  triggers: [on-rollout-aborted]\n  selector: team=x\n"}, labels: map[string]string{"team": "x"}, want: []string{"slack:a 0 t"}},
		"those without it":                 {config: map[string]string{"subscriptions": "- recipients: [slack:a]\n  triggers: [on-rollout-aborted]\n  selector: team=x\n"}, labels: map[string]string{"team": "y"}},
		"twice the same":                   {config: map[string]string{"subscriptions": "- recipients: [slack:a]\n  triggers: [on-rollout-aborted]\n"}, annotations: map[string]string{prefix + "subscribe.on-rollout-aborted.slack": "a"}, want: []string{"slack:a 0 t"}},
		"several conditions":               {config: map[string]string{"trigger.on-rollout-aborted": "- send: [t]\n- when: rollout.status.phase == 'Healthy'\n  send: [u]\n- when: rollout.status.phase in ['Degraded'] && time.Now().Sub(time.Parse('2026-01-02T11:00:00Z')).Minutes() < 90\n  oncePer: notice.revision\n  send: [t, u]\n"}, annotations: map[string]string{prefix + "subscribe.on-rollout-aborted.slack": "a"}, want: []string{"slack:a 0 t", "slack:a 2 t+u once"}},
		"a condition of what is not there": {config: map[string]string{"trigger.on-rollout-aborted": "- when: rollout.no.such.thing == 1\n  send: [t]\n"}, annotations: map[string]string{prefix + "subscribe.on-rollout-aborted.slack": "a"}, want: []string{"! ConfigMap argo-rollouts/argo-rollouts-notification-configmap, key trigger.on-rollout-aborted, condition 1: when: cannot fetch such from <nil> (1:12)"}},
		"a trigger that is not there":      {config: map[string]string{"trigger.on-rollout-aborted": ""}, annotations: map[string]string{prefix + "subscribe.on-rollout-aborted.slack": "a"}},
		"a service that is not there":      {annotations: map[string]string{prefix + "subscribe.on-rollout-aborted.mail": "a"}, want: []string{"mail:a 0 t"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := maps.Clone(base)
			maps.Copy(data, tc.config)
			if data["trigger.on-rollout-aborted"] == "" {
				delete(data, "trigger.on-rollout-aborted")
				tc.want = []string{"! somebody subscribed to on-rollout-aborted, and no ConfigMap argo-rollouts-notification-configmap has the key trigger.on-rollout-aborted"}
			}
			c := notify.Parse("argo-rollouts", data, kinds())
			c.Problems = nil
			if diff := cmp.Diff(tc.want, routesAt(t, c, tc.annotations, tc.labels)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func routesAt(t *testing.T, c *notify.Config, annotations, labels map[string]string) []string {
	t.Helper()
	s := subject("", "")
	s.Annotations, s.Labels = annotations, labels
	s.Vars["time"] = notify.Clock(noon)
	routed, problems := notify.Route([]*notify.Config{c}, aborted(), s)
	var out []string
	for _, r := range routed {
		line := r.To + " " + strconv.Itoa(int(r.Part)) + " " + strings.Join(r.Templates, "+")
		if r.Once != "" {
			line += " once"
		}
		out = append(out, line)
	}
	for _, p := range problems {
		out = append(out, "! "+p)
	}
	return out
}

// With self-service a team's ConfigMap stands beside the controller's.
func TestTwoConfigMapsStandBesideEachOther(t *testing.T) {
	t.Parallel()
	ours := notify.Parse("payments", map[string]string{"service.webhook.team": "url: x\n", "template.t": "message: x\n", "trigger.on-rollout-aborted": "- send: [t]\n"}, kinds())
	theirs := notify.Parse("argo-rollouts", map[string]string{"service.slack": "token: x\n", "template.u": "message: x\n", "trigger.on-rollout-aborted": "- send: [u]\n"}, kinds())
	got := routes(t, []*notify.Config{ours, theirs}, map[string]string{
		"notifications.argoproj.io/subscribe.on-rollout-aborted.team": "", "notifications.argoproj.io/subscribe.on-rollout-aborted.slack": "a",
	}, nil)
	if want := []string{"team: 0 t", "slack:a 0 u"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTriggersAreNamedAfterReasons(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"RolloutAborted": "on-rollout-aborted", "ScalingReplicaSet": "on-scaling-replica-set", "AnalysisRunFailed": "on-analysis-run-failed",
		"RolloutStepCompleted": "on-rollout-step-completed", "RolloutRecovered": "on-rollout-recovered",
	} {
		if got := notify.Trigger(reason); got != want {
			t.Errorf("%s: got %s, want %s", reason, got, want)
		}
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	vars := map[string]any{
		"rollout": map[string]any{"metadata": map[string]any{"name": "checkout", "labels": map[string]any{}}, "n": int64(5), "list": []any{"a", "b"}},
		"secrets": map[string]string{"word": "xyz"}, "time": notify.Clock(noon),
	}
	for text, want := range map[string]string{
		`{{ .rollout.metadata.name | upper | quote }}`:                  `"CHECKOUT"`,
		`{{ default "x" .rollout.metadata.labels.team }}`:               "x",
		`{{ .rollout.list | join "," }} {{ index .rollout.list 0 }}`:    "a,b a",
		`{{ add .rollout.n 2 }} {{ div .rollout.n 2 }} {{ max 1 2 }}`:   "7 2 2",
		`{{ .rollout | toJson }}`:                                       `{"list":["a","b"],"metadata":{"labels":{},"name":"checkout"},"n":5}`,
		`{{ (call .time.Now) | date "2006-01-02" }}`:                    "2026-01-02",
		`{{ range $i, $x := .rollout.list }}{{ $i }}{{ $x }} {{ end }}`: "0a 1b ",
		`{{ printf "%s" .secrets.word }}{{ .secrets.word | b64enc }}`:   "xyzeHl6",
		`{{ ternary "yes" "no" (hasPrefix "check" .rollout.metadata.name) }} {{ trunc 3 "abcdef" }}{{ regexReplaceAll "[0-9]+" "a1b22" "-" }}`: "yes abca-b-",
		`{{ range .rollout.nothing }}x{{ else }}none{{ end }}{{ range $k, $v := .rollout.metadata.labels }}x{{ end }}`:                         "none",
		`{{ if empty .rollout.metadata.labels }}none{{ end }}{{ indent 2 "a" }}{{ nindent 2 "b" }}`:                                            "none  a\n  b",
	} {
		m, err := render(t, map[string]string{"template.t": "message: " + toYAML(t, text)}, vars)
		if err != nil || m.Text != want {
			t.Errorf("%s: got %q, %v, want %q", text, m.Text, err, want)
		}
	}
}

func toYAML(t *testing.T, s string) string {
	t.Helper()
	data, err := yaml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func render(t *testing.T, data map[string]string, vars map[string]any) (*notify.Message, error) {
	t.Helper()
	data["service.slack"] = "token: x\n"
	if data["trigger.on-rollout-aborted"] == "" {
		data["trigger.on-rollout-aborted"] = "- send: [t]\n"
	}
	c := notify.Parse("argo-rollouts", data, kinds())
	if len(c.Problems) > 0 {
		t.Fatal(c.Problems)
	}
	s := subject("slack", "a")
	routed, _ := notify.Route([]*notify.Config{c}, aborted(), s)
	m := &notify.Message{}
	return m, routed[0].Render(m, vars)
}

func TestOneTemplateOverTheOther(t *testing.T) {
	t.Parallel()
	m, err := render(t, map[string]string{
		"trigger.on-rollout-aborted": "- send: [t, u]\n",
		"template.t":                 "message: first\nslack:\n  username: a\n  icon: b\n", "template.u": "message: ''\nslack:\n  icon: c\n",
	}, nil)
	var got struct{ Username, Icon string }
	if said, errS := m.Section("slack", &got); err != nil || errS != nil || !said || m.Text != "first" || got.Username != "a" || got.Icon != "c" {
		t.Errorf("got %q, %+v, %v, %v", m.Text, got, err, errS)
	}
}

func TestATemplateThatCannotBeRenderedIsNamed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{{ .rollout.big.x }}`: "key template.t: t:1:", `{{ fail "no" }}`: "no", `{{ div 1 0 }}`: "division by zero",
		`{{ range 1000000000000 }}{{ end }}`: "a loop over a int", `{{ $n := add 1000000000000 1 }}{{ range $n }}{{ end }}`: "a loop over a int64",
		`{{ with (list 1000000000000) }}{{ range $i, $x := first . }}{{ end }}{{ end }}`: "a loop over a int", `{{ range .time.Now }}{{ end }}`: "a loop over a func",
		`{{ range .rollout.big }}{{ . }}{{ end }}`: "more than 256 KiB",
	} {
		_, err := render(t, map[string]string{"template.t": "message: '" + text + "'\n"}, map[string]any{"time": notify.Clock(noon), "rollout": map[string]any{"big": slices.Repeat([]any{strings.Repeat("x", 1<<10)}, 300)}})
		e, ok := errors.AsType[*notify.Error](err)
		if !ok || e.Fate != outbox.Broken || !strings.Contains(e.Message, want) || !strings.Contains(e.Message, "ConfigMap argo-rollouts/") {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestASecretThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	c := notify.Parse("argo-rollouts", map[string]string{"service.slack": "token: $slack-token\n"}, kinds())
	for name, want := range map[string]string{
		"slack": "key service.slack: Secret argo-rollouts-notification-secret has no key slack-token", "mail": "has no service mail: add the key service.mail",
	} {
		if _, err := c.Open(name, map[string][]byte{"other": []byte("x")}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The examples are whole: nothing in them is wrong, and their triggers reach
// somebody.
func TestTheExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.FromSlash("../../examples/notifications/*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("there are %d examples, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cm corev1.ConfigMap
		var secret corev1.Secret
		docs := strings.Split(string(text), "\n---\n")
		if len(docs) != 2 || yaml.UnmarshalStrict([]byte(docs[0]), &cm) != nil || yaml.UnmarshalStrict([]byte(docs[1]), &secret) != nil {
			t.Fatalf("%s is not a ConfigMap and a Secret", file)
		}
		c := notify.Parse(cm.Namespace, cm.Data, kinds())
		if cm.Name != notify.ConfigMapName || secret.Name != notify.SecretName || len(c.Problems) > 0 {
			t.Errorf("%s: %s, %s, %v", file, cm.Name, secret.Name, c.Problems)
		}
		values := map[string][]byte{}
		for k, v := range secret.StringData {
			values[k] = []byte(v)
		}
		reached := 0
		for _, reason := range []string{"RolloutAborted", "RolloutRecovered", "RolloutRetry", "RolloutCompleted"} {
			d := aborted()
			d.Notice.Reason = reason
			s := subject("", "")
			s.Annotations, s.Labels = map[string]string{}, map[string]string{"team": "payments"}
			for key := range cm.Data {
				if parts := strings.Split(key, "."); parts[0] == "service" {
					s.Annotations["notifications.argoproj.io/subscribe."+notify.Trigger(reason)+"."+parts[len(parts)-1]] = "payments"
				}
			}
			s.Vars["rollout"].(map[string]any)["spec"] = map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "a", "image": "b"}}}}}
			routed, _ := notify.Route([]*notify.Config{c}, d, s)
			for _, r := range routed {
				reached++
				if err := r.Render(&notify.Message{}, s.Vars); err != nil {
					t.Errorf("%s: %v", file, err)
				}
				if _, err := c.Open(r.Service, values); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		}
		if reached == 0 {
			t.Errorf("%s reaches nobody", file)
		}
	}
}

// What the documentation says of the ConfigMap can be pasted into one.
func TestTheDocumentation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.FromSlash("../../docs/notifications.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, m := range regexp.MustCompile("(?s)```yaml\n(service\\..*?)```").FindAllSubmatch(text, -1) {
		blocks++
		var data map[string]string
		if err := yaml.UnmarshalStrict(m[1], &data); err != nil {
			t.Fatal(err)
		}
		if c := notify.Parse("argo-rollouts", data, kinds()); len(c.Problems) > 0 {
			t.Error(c.Problems)
		}
	}
	if blocks != 1 {
		t.Errorf("there are %d blocks", blocks)
	}
	for _, k := range kinds() {
		if !strings.Contains(string(text), "`"+k.Name+"`") && k.Name != "servicenow" {
			t.Errorf("the kind %s is not in the documentation", k.Name)
		}
	}
}

func FuzzAnyConfigMapIsReadOrRefused(f *testing.F) {
	f.Add("service.slack", "token: x")
	f.Add("trigger.on-x", "- when: a == 1\n  send: [t]")
	f.Add("template.t", "message: '{{ range .a }}{{ . }}{{ end }}'\nwebhook: {a: {body: x}}")
	f.Add("subscriptions", "- recipients: [a:b]\n  selector: a=b")
	f.Add("template.t", "a: &a [*a]")
	f.Fuzz(func(t *testing.T, key, text string) {
		c := notify.Parse("ns", map[string]string{key: text}, kinds())
		for _, p := range c.Problems {
			if p.Text == "" || p.Line < 0 {
				t.Errorf("a problem without words: %+v", p)
			}
		}
	})
}
