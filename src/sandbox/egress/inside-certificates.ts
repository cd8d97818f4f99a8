// Writes the certificates that programs inside trust.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'

const SYSTEM_ROOTS = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
]

/**
 * Writes two PEM files into `folder`: `openshell-ca.pem` with the run's authority and the runner's extra file, and
 * `ca-bundle.pem` with the system's roots before them.
 */
export function writeCertificates(folder: string, pem: string, extraFile: string | undefined): void {
  const extra = readFirst(extraFile === undefined ? [] : [extraFile]) ?? ''
  const roots = readFirst(SYSTEM_ROOTS) ?? rootCertificates.join('\n')
  writeFileSync(join(folder, 'openshell-ca.pem'), `${pem}\n${extra}`)
  writeFileSync(join(folder, 'ca-bundle.pem'), `${roots}\n${pem}\n${extra}`)
}

function readFirst(files: readonly string[]): string | undefined {
  for (const file of files) {
    try {
      return readFileSync(file, 'utf8')
    } catch {
      // Each distribution keeps its bundle elsewhere; a missing extra file is reported by the model route.
    }
  }
  return undefined
}
