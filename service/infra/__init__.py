"""What every process needs: settings, logs, traces and the artifact store."""
