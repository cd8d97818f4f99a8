import './reflect.ts'
import type { webcrypto } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
/** A clock that is a little behind must not refuse a certificate made a second ago. */
const BACKDATE_MS = 60 * 60 * 1000
const VALIDITY_MS = 30 * 24 * 60 * 60 * 1000
const SYSTEM_ROOT_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
]

/** A leaf for a TLS server: PEM texts, held in memory only. */
export interface Leaf {
  readonly cert: string
  readonly key: string
}

/** A throw-away certificate authority; its private key never leaves the process. */
export interface Authority {
  /** PEM of the authority's own certificate. */
  readonly pem: string
  /** A new P-256 leaf with `host` as its DNS name. */
  issue(host: string): Promise<Leaf>
}

export async function createAuthority(name: string): Promise<Authority> {
  const keys = await generateKeys()
  const subject = `CN=${name}`
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: subject,
    keys,
    signingAlgorithm: ALGORITHM,
    ...validity(),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { pem: toPem(certificate), issue: (host) => issueLeaf({ host, issuer: subject, keys }) }
}

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

async function issueLeaf(options: {
  host: string
  issuer: string
  keys: webcrypto.CryptoKeyPair
}): Promise<Leaf> {
  const keys = await generateKeys()
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${options.host}`,
    issuer: options.issuer,
    publicKey: keys.publicKey,
    signingKey: options.keys.privateKey,
    signingAlgorithm: ALGORITHM,
    ...validity(),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([{ type: 'dns', value: options.host }]),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(options.keys.publicKey),
    ],
  })
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey))
  const lines = pkcs8.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return {
    cert: toPem(certificate),
    key: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
  }
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}

function validity(): { notBefore: Date; notAfter: Date } {
  const now = Date.now()
  return { notBefore: new Date(now - BACKDATE_MS), notAfter: new Date(now + VALIDITY_MS) }
}

function toPem(certificate: X509Certificate): string {
  return `${certificate.toString('pem').trim()}\n`
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
