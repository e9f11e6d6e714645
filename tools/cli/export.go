package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"fluxmq/reports/formats"
	"fluxmq/reports/trial"
)

// exportFlags are the flags of export.
type exportFlags struct{ format, arm, out string }

func (a *app) export() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use: "export PATH…", Short: "Write stored results and trials in another program's format", Args: cobra.MinimumNArgs(1),
		Long: "export writes a run result (result.json) or a trial (trial.json), or what lies in the folder of one, as another program reads it:\n\n" + formatList() +
			"\nWithout -o one file goes to standard output. otava adds to the histories in the folder -o.",
		RunE: func(cmd *cobra.Command, args []string) error { return a.exportAll(cmd.Context(), f, args) },
	}
	cmd.Flags().StringVar(&f.format, "format", "benchfmt", strings.Join(formats.Names(), ", "))
	cmd.Flags().StringVar(&f.arm, "arm", "", "of a trial: base or head; empty: both where the format takes both, else head")
	cmd.Flags().StringVarP(&f.out, "out", "o", "", "file, or folder where the format has several files")
	return cmd
}

func formatList() string {
	var text strings.Builder
	for _, f := range formats.All() {
		fmt.Fprintf(&text, "  %-14s for %s\n", f.Name, f.Reader)
	}
	return text.String()
}

func (a *app) exportAll(ctx context.Context, f exportFlags, paths []string) error {
	format, err := formats.Find(f.format)
	if err != nil {
		return &usageError{err}
	}
	arm, err := armOf(f.arm)
	if err != nil {
		return err
	}
	switch {
	case format.Extend != nil && f.out == "":
		return &usageError{fmt.Errorf("format %s adds to a folder of histories: give -o FOLDER", f.format)}
	case format.Extend == nil && f.out != "" && len(paths) > 1:
		return &usageError{errors.New("-o takes one result or trial at a time")}
	}
	for _, path := range paths {
		s, err := loadStored(ctx, path)
		if err != nil {
			return err
		}
		if format.Extend != nil {
			err = extend(format, s, arm, f.out)
		} else {
			err = a.exportOne(format, s, arm, f.out)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func armOf(name string) (string, error) {
	switch name {
	case "":
		return "", nil
	case "base":
		return trial.Base, nil
	case "head":
		return trial.Head, nil
	}
	return "", &usageError{fmt.Errorf("--arm is base or head, got %q", name)}
}

func extend(format formats.Format, s *stored, arm, folder string) error {
	if s.judged == nil {
		return &usageError{fmt.Errorf("format %s is made from a trial, not from a run result", format.Name)}
	}
	judged := *s.judged
	judged.Arm = arm
	return format.Extend(folder, judged)
}

func (a *app) exportOne(format formats.Format, s *stored, arm, out string) error {
	files, err := s.files(format, arm)
	if err != nil {
		return err
	}
	if out == "" {
		if len(files) != 1 {
			return &usageError{fmt.Errorf("format %s has %d files here (%s): give -o FOLDER%s", format.Name, len(files), fileNames(files), armHint(s, arm))}
		}
		return files[0].Write(a.stdout)
	}
	info, err := os.Stat(out)
	isFolder := err == nil && info.IsDir() || strings.HasSuffix(out, string(filepath.Separator)) || len(files) > 1
	for _, file := range files {
		target := out
		if isFolder {
			if err := os.MkdirAll(out, 0o755); err != nil {
				return err
			}
			target = filepath.Join(out, file.Name)
		}
		// Whole before it is written: a view that fails leaves the old file alone.
		var text bytes.Buffer
		if err := file.Write(&text); err != nil {
			return err
		}
		if err := os.WriteFile(target, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func fileNames(files []formats.File) string {
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

func armHint(s *stored, arm string) string {
	if s.judged != nil && arm == "" {
		return " or --arm"
	}
	return ""
}
