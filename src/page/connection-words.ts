/** What became of the live connections of something that was taken away, in words. */
export function connectionWords({ kicked, failed }: { kicked: number; failed: number }): string {
  const closed = kicked === 0 ? '' : kicked === 1 ? 'One open connection was closed. ' : `${kicked} open connections were closed. `
  if (failed === 1) return `${closed}One connection could not be closed now; it ends by itself within minutes.`
  if (failed > 1) return `${closed}${failed} connections could not be closed now; they end by themselves within minutes.`
  return kicked === 0 ? 'It had no open connection.' : closed.trim()
}
