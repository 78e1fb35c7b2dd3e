// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
)

// JSON writes r as indented JSON.
func JSON(r *Record) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("write the evidence of %s/%s as JSON: %w", r.Namespace, r.Rollout, err)
	}
	return b.Bytes(), nil
}

// Read reads what JSON wrote.
func Read(data []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("read an evidence record: %w", err)
	}
	if r.Version > Version {
		return Record{}, fmt.Errorf("this evidence record has version %d and this program knows %d: use a newer one", r.Version, Version)
	}
	return r, nil
}

// Base is the name of r's files, without an ending. It is the same whenever and
// wherever r is written, another attempt's is another, also of another Rollout
// of the same name, and names are in the order of time.
func Base(r *Record) string {
	return fmt.Sprintf("%s-%s-revision-%d-attempt-%d", r.Rollout, r.StartedAt.UTC().Format("20060102T150405Z"), r.Revision, r.Attempt)
}

// Zip writes an archive of r as HTML and as JSON, and of the runs as the API
// server had them.
func Zip(r *Record, runs []*v1alpha1.AnalysisRun) ([]byte, error) {
	page, err := HTML(r)
	if err != nil {
		return nil, err
	}
	data, err := JSON(r)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	add := func(name string, data []byte) error {
		w, err := z.CreateHeader(&zip.FileHeader{Name: Base(r) + "/" + name, Method: zip.Deflate, Modified: r.RecordedAt.UTC().Truncate(2 * time.Second)})
		if err != nil {
			return fmt.Errorf("add %s: %w", name, err)
		}
		_, err = w.Write(data)
		return err //nolint:wrapcheck // it is wrapped below
	}
	err = errors.Join(add("evidence.html", page), add("evidence.json", data))
	for _, run := range runs {
		raw, errRun := rawRun(run)
		err = errors.Join(err, errRun, add("analysisruns/"+run.Name+".json", raw))
	}
	if err := errors.Join(err, z.Close()); err != nil {
		return nil, fmt.Errorf("pack the evidence of %s/%s: %w", r.Namespace, r.Rollout, err)
	}
	return b.Bytes(), nil
}

func rawRun(run *v1alpha1.AnalysisRun) ([]byte, error) {
	out := run.DeepCopy()
	out.APIVersion, out.Kind = v1alpha1.SchemeGroupVersion.String(), "AnalysisRun"
	out.ManagedFields = nil
	data, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write AnalysisRun %s as JSON: %w", run.Name, err)
	}
	return append(data, '\n'), nil
}

// Pack writes r compressed, in at most limit bytes. What does not fit is left
// out, the least useful first, and r.Missing says what. It returns an error only
// if not even the counters fit.
func Pack(r Record, limit int) ([]byte, error) {
	for _, drop := range append([]func(*Record) string{nil}, drops...) {
		if drop != nil {
			if said := drop(&r); said != "" {
				r.Missing = append(r.Missing, said+fmt.Sprintf(": the record is kept in %s bytes.", Thousands(float64(limit))))
			}
		}
		data, err := compress(&r)
		if err != nil || len(data) <= limit {
			return data, err
		}
	}
	return nil, fmt.Errorf("the evidence of %s/%s does not fit into %d bytes, not even without its readings", r.Namespace, r.Rollout, limit)
}

// Unpack undoes Pack. It reads no more than a record can be.
func Unpack(data []byte) (Record, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return Record{}, fmt.Errorf("unpack an evidence record: %w", err)
	}
	const most = 64 << 20
	text, err := io.ReadAll(io.LimitReader(z, most+1))
	if err != nil {
		return Record{}, fmt.Errorf("unpack an evidence record: %w", err)
	}
	if len(text) > most {
		return Record{}, fmt.Errorf("unpack an evidence record: it is larger than %d bytes, which no record is", most)
	}
	return Read(text)
}

// packers are kept: one takes 650 KB.
var packers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestCompression) // fails on a wrong level only
	return z
}}

func compress(r *Record) ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write the evidence of %s/%s as JSON: %w", r.Namespace, r.Rollout, err)
	}
	var b bytes.Buffer
	z, ok := packers.Get().(*gzip.Writer)
	if !ok {
		return nil, errors.New("compress: no packer")
	}
	defer packers.Put(z)
	z.Reset(&b)
	if _, err := z.Write(text); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return b.Bytes(), nil
}

// drops are what is left out of a record that is too large, one after the other.
var drops = []func(*Record) string{
	notes, older(200, false), older(50, false), messages, older(10, false), fields(40), older(50, true), older(10, true), fields(0), older(0, true), rest,
}

// each calls f for every metric and writes the copy that f returns.
func (r *Record) each(f func(m Metric) Metric) {
	runs := append([]Run{}, r.Runs...)
	for i := range runs {
		metrics := append([]Metric{}, runs[i].Metrics...)
		for j := range metrics {
			metrics[j] = f(metrics[j])
		}
		runs[i].Metrics = metrics
	}
	r.Runs = runs
}

// notes drops what providers said besides.
func notes(r *Record) string {
	n := 0
	r.each(func(m Metric) Metric {
		m.Readings = append([]Reading{}, m.Readings...)
		for k := range m.Readings {
			n += len(m.Readings[k].Notes)
			m.Readings[k].Notes = nil
		}
		return m
	})
	if n == 0 {
		return ""
	}
	return "Notes on readings, such as the values of groups, are left out"
}

// messages drops the messages of readings.
func messages(r *Record) string {
	n := 0
	r.each(func(m Metric) Metric {
		m.Readings = append([]Reading{}, m.Readings...)
		for k := range m.Readings {
			if m.Readings[k].Message != "" {
				n++
			}
			m.Readings[k].Message = ""
		}
		return m
	})
	if n == 0 {
		return ""
	}
	return "Messages of readings are left out"
}

// older drops the oldest readings that were successful, or of any kind, but for
// the last keep of them of each metric.
func older(keep int, all bool) func(*Record) string {
	return func(r *Record) string {
		n := 0
		r.each(func(m Metric) Metric {
			left := 0
			for _, x := range m.Readings {
				if all || x.Phase == string(v1alpha1.AnalysisPhaseSuccessful) {
					left++
				}
			}
			kept := []Reading{}
			for _, x := range m.Readings {
				counted := all || x.Phase == string(v1alpha1.AnalysisPhaseSuccessful)
				if counted && left > keep {
					left--
					n++
					m.Dropped++
					continue
				}
				kept = append(kept, x)
			}
			m.Readings = kept
			return m
		})
		if n == 0 {
			return ""
		}
		what := "successful "
		if all {
			what = ""
		}
		return fmt.Sprintf("The oldest %s%s are counted and not listed, all but the last %d of each metric", what, plural(n, "reading"), keep)
	}
}

// fields drops all but the first keep fields that changed.
func fields(keep int) func(*Record) string {
	return func(r *Record) string {
		n := len(r.Change.Template) - keep
		if n <= 0 {
			return ""
		}
		r.Change.Template = r.Change.Template[:keep:keep]
		return strconv.Itoa(n) + " changed fields of the template are left out"
	}
}

// rest drops what is left that may be long.
func rest(r *Record) string {
	r.each(func(m Metric) Metric {
		m.Query, m.Pass, m.Fail, m.Abort, m.Message = clip(m.Query), clip(m.Pass), clip(m.Fail), clip(m.Abort), clip(m.Message)
		return m
	})
	for i := range r.Runs {
		r.Runs[i].Args, r.Runs[i].Message = nil, clip(r.Runs[i].Message)
	}
	return "Arguments and the ends of long texts are left out"
}
