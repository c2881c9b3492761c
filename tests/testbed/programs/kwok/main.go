// kwok, which plays the kubelets of simulated nodes, for clusters with more nodes than a machine can have.
//
//	kwok stages        prints what becomes of nodes and pods, and when, as kwok's own files say; for its --config
//	kwok --config ...  is kwok
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
	nodes "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	pods "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/cmd"
	"sigs.k8s.io/kwok/pkg/log"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "stages" {
		all := []string{
			nodes.DefaultNodeInit, heartbeat.DefaultNodeHeartbeatWithLease,
			pods.DefaultPodReady, pods.DefaultPodComplete, pods.DefaultPodDelete,
		}
		fmt.Print(strings.Join(all, "\n---\n"))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run reads the words that several of kwok's programs have in common before it makes the command that has the others.
func run(ctx context.Context) error {
	shared := pflag.NewFlagSet("shared", pflag.ContinueOnError)
	shared.ParseErrorsAllowlist.UnknownFlags = true
	shared.Usage = func() {}
	ctx, _ = log.InitFlags(ctx, shared)
	ctx, err := config.InitFlags(ctx, shared)
	if err != nil {
		return err
	}
	command := cmd.NewCommand(ctx)
	command.PersistentFlags().AddFlagSet(shared)
	return command.ExecuteContext(ctx)
}
