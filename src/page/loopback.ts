/** Whether an address is a listener on this very machine: the code in it is for nobody else. */
export function isLoopback(address: string): boolean {
  return address.startsWith('http://127.0.0.1:') && URL.canParse(address) && new URL(address).hostname === '127.0.0.1'
}
