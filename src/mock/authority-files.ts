import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'

const SYSTEM_ROOT_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
]

/**
 * Writes `openshell-ca.pem` (the authority alone) and `ca-bundle.pem` (system roots and the authority) into
 * `directory`, as the supervisor does under /etc/openshell-tls (openshell.md 3.1).
 */
export function writeAuthorityFiles(
  directory: string,
  pem: string,
): { caFile: string; caBundleFile: string } {
  const caFile = join(directory, 'openshell-ca.pem')
  const caBundleFile = join(directory, 'ca-bundle.pem')
  mkdirSync(directory, { recursive: true })
  writeFileSync(caFile, pem)
  writeFileSync(caBundleFile, `${readSystemRoots()}\n${pem}`)
  return { caFile, caBundleFile }
}

function readSystemRoots(): string {
  for (const file of SYSTEM_ROOT_FILES) {
    try {
      return readFileSync(file, 'utf8').trim()
    } catch {
      // Each distribution keeps its bundle elsewhere; the next name may be the right one.
    }
  }
  return rootCertificates.join('\n')
}
