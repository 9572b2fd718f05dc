package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dlog-fabric/dlog/pkg/store"
)

func backupCommand(env Env) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "backup TO",
		Short: "Copy a store while it is written to",
		Long: `backup copies the files of a store to the directory TO, each as it is at one moment: a copy holds a position in the stream and
all entries up to it. The readers read it with --store TO. To restore, stop the sink and copy the files back.`,
		Example: `  dlog-sink backup /backup/dlog --store /var/lib/dlog/store`,
		Args:    exactArgs(1, "the directory to copy to"),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := store.Backup(cmd.Context(), dir, args[0])
			for _, f := range files {
				fmt.Fprintln(env.Stdout, f)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "store", "dlog-store", "the store in this `DIR`")
	return cmd
}
