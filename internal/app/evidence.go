// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	analysiscontroller "sluice.dev/sluice/internal/controller/analysis"
	evidencecontroller "sluice.dev/sluice/internal/controller/evidence"
	"sluice.dev/sluice/internal/export"
	"sluice.dev/sluice/internal/verdict"
)

// EvidenceConfig says how evidence is kept and exported.
type EvidenceConfig struct {
	// History is how many records of each Rollout are kept; 0 keeps none.
	History int
	// MaxBytes is how large one may be.
	MaxBytes int
	// Folder is where records are exported to; empty for nowhere.
	Folder string
	// S3 is the bucket that they are exported to, if it has a name, with the keys
	// that are in CredentialsFile or in the environment.
	S3              export.S3Config
	CredentialsFile string
}

const (
	minEvidence = 8 << 10
	// maxEvidence leaves room in an object of the API server.
	maxEvidence = 900 << 10
)

func (c *EvidenceConfig) flags(f *pflag.FlagSet) {
	f.IntVar(&c.History, "evidence-history", 10, "records of attempts kept in the cluster for each rollout; 0 keeps none")
	f.IntVar(&c.MaxBytes, "evidence-max-bytes", 128<<10, "largest record in the cluster, compressed; what does not fit is left out, the least useful first")
	f.StringVar(&c.Folder, "evidence-folder", "", "folder that records are exported to, such as one on a mounted volume (default: none)")
	f.StringVar(&c.S3.Bucket, "evidence-s3-bucket", "", "bucket of an S3-compatible object store that records are exported to (default: none)")
	f.StringVar(&c.S3.Endpoint, "evidence-s3-endpoint", "", "URL of the object store, such as https://s3.eu-central-1.amazonaws.com")
	f.StringVar(&c.S3.Region, "evidence-s3-region", "us-east-1", "region to sign requests for")
	f.StringVar(&c.S3.Prefix, "evidence-s3-prefix", "", "what names in the bucket begin with, such as clusters/prod")
	f.StringVar(&c.CredentialsFile, "evidence-s3-credentials-file", "", "file with the keys, in the form of AWS's credentials file (default: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment)")
	f.BoolVar(&c.S3.PlainHTTP, "evidence-s3-plain-http", false, "allow an object store without TLS that is not on this machine")
}

func (c *EvidenceConfig) validate() error {
	exports := c.Folder != "" || c.S3.Bucket != ""
	switch {
	case c.History < 0:
		return fmt.Errorf("--evidence-history must not be negative, got %d", c.History)
	case c.History == 0 && exports:
		return errors.New("--evidence-folder and --evidence-s3-bucket need --evidence-history of at least 1: what is exported is kept in the cluster until it is")
	case c.History > 0 && (c.MaxBytes < minEvidence || c.MaxBytes > maxEvidence):
		return fmt.Errorf("--evidence-max-bytes must be between %d and %d, got %d", minEvidence, maxEvidence, c.MaxBytes)
	}
	return c.validateS3()
}

func (c *EvidenceConfig) validateS3() error {
	if c.S3.Bucket == "" {
		if c.S3.Endpoint != "" || c.S3.Prefix != "" || c.CredentialsFile != "" {
			return errors.New("--evidence-s3-endpoint, --evidence-s3-prefix and --evidence-s3-credentials-file need --evidence-s3-bucket")
		}
		return nil
	}
	if _, err := export.NewS3(c.S3); err != nil {
		return fmt.Errorf("--evidence-s3-*: %w", err)
	}
	return nil
}

// places are where records are exported to.
func (c *EvidenceConfig) places() ([]evidencecontroller.Place, error) {
	var out []evidencecontroller.Place
	if c.Folder != "" {
		folder := export.NewFolder(c.Folder)
		if err := folder.Check(); err != nil {
			// Releases do not wait for a volume; the export is tried again.
			ctrl.Log.WithName("evidence").Error(err, "evidence cannot be exported to --evidence-folder for now")
		}
		out = append(out, folder)
	}
	if c.S3.Bucket != "" {
		config := c.S3
		config.Now, config.Credentials = time.Now, export.CredentialsFrom(c.CredentialsFile, os.Getenv)
		bucket, err := export.NewS3(config)
		if err != nil {
			return nil, fmt.Errorf("--evidence-s3-*: %w", err)
		}
		out = append(out, bucket)
	}
	return out, nil
}

func addEvidence(mgr ctrl.Manager, c Config, board *verdict.Board, runs *analysiscontroller.Reconciler) error {
	if c.Evidence.History == 0 {
		return nil
	}
	places, err := c.Evidence.places()
	if err != nil {
		return err
	}
	r := &evidencecontroller.Recorder{
		Cached: mgr.GetClient(), Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Clock: clock.RealClock{}, Busy: board.Busy, Count: analysiscontroller.Counter{Reconciler: runs}.Count,
		Limits: evidencecontroller.Limits{
			History: c.Evidence.History, MaxBytes: c.Evidence.MaxBytes, Namespace: c.Namespace, Instance: c.Instance,
		},
	}
	if len(places) > 0 {
		r.Exporter = evidencecontroller.NewExporter(mgr.GetClient(), mgr.GetAPIReader(), mgr.GetClient(), places)
	}
	return r.Setup(mgr)
}
