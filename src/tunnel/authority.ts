// A certificate authority for one life of the runner process. It encodes DER itself: a library for it would cost more
// start-up time than everything else here. Its key never leaves the process.
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'
import { createSecureContext, type SecureContext } from 'node:tls'

/** Certificate and key of a TLS server, as PEM texts that are held in memory only. */
export interface Leaf {
  readonly cert: string
  readonly key: string
}

export interface Authority {
  /** PEM of the authority's own certificate. */
  readonly pem: string
  /** Issues a P-256 certificate for `host`, a DNS name or an IPv4 address. */
  issue(host: string): Leaf
  /** Returns a TLS context with such a certificate; kept for the next connection to that host. */
  contextFor(host: string): SecureContext
}

/** Certificates start this long in the past, in milliseconds: a peer's clock may be a little behind. */
const BACKDATE_MS = 60 * 60 * 1000
const VALIDITY_MS = 30 * 24 * 60 * 60 * 1000
/** Upper bound of the kept contexts; a policy rarely names more hosts. */
const CONTEXTS_MAX = 256

const OID = {
  commonName: '550403',
  ecdsaSha256: '2a8648ce3d040302',
  basicConstraints: '551d13',
  keyUsage: '551d0f',
  extendedKeyUsage: '551d25',
  serverAuth: '2b06010505070301',
  subjectAltName: '551d11',
  subjectKey: '551d0e',
  authorityKey: '551d23',
} as const

export function createAuthority(name: string): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const keyId = keyIdOf(keys.publicKey)
  const certificate = toPem(
    certify({
      issuer: name,
      subject: name,
      publicKey: keys.publicKey,
      signer: keys.privateKey,
      extensions: [
        extension(OID.basicConstraints, sequence(der(0x01, Buffer.from([0xff]))), true),
        // keyCertSign, cRLSign.
        extension(OID.keyUsage, der(0x03, Buffer.from([1, 0x06])), true),
        extension(OID.subjectKey, der(0x04, keyId)),
      ],
    }),
  )
  const leafKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const leafKeyPem = leafKeys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const issue = (host: string): Leaf => {
    const leaf = certify({
      issuer: name,
      subject: host.slice(0, 64),
      publicKey: leafKeys.publicKey,
      signer: keys.privateKey,
      extensions: [
        extension(OID.basicConstraints, sequence(), true),
        // digitalSignature.
        extension(OID.keyUsage, der(0x03, Buffer.from([7, 0x80])), true),
        extension(OID.extendedKeyUsage, sequence(objectId(OID.serverAuth))),
        extension(OID.subjectAltName, sequence(alternativeName(host))),
        extension(OID.authorityKey, sequence(der(0x80, keyId))),
      ],
    })
    return { cert: toPem(leaf), key: leafKeyPem }
  }
  const contexts = new Map<string, SecureContext>()
  return {
    pem: certificate,
    issue,
    contextFor(host) {
      const known = contexts.get(host)
      if (known !== undefined) return known
      const context = createSecureContext(issue(host))
      if (contexts.size >= CONTEXTS_MAX) contexts.clear()
      contexts.set(host, context)
      return context
    },
  }
}

interface Contents {
  issuer: string
  subject: string
  publicKey: KeyObject
  signer: KeyObject
  extensions: readonly Buffer[]
}

function certify({ issuer, subject, publicKey, signer, extensions }: Contents): Buffer {
  const algorithm = sequence(objectId(OID.ecdsaSha256))
  const serial = randomBytes(16)
  // A serial number must be positive and have no leading zero byte.
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  const now = Date.now()
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    algorithm,
    nameOf(issuer),
    sequence(time(now - BACKDATE_MS), time(now + VALIDITY_MS)),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  )
  return sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, signer)])))
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function objectId(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

function nameOf(text: string): Buffer {
  return sequence(der(0x31, sequence(objectId(OID.commonName), der(0x0c, Buffer.from(text)))))
}

/** Encodes a UTCTime: YYMMDDhhmmssZ. */
function time(at: number): Buffer {
  const digits = new Date(at).toISOString().replace(/[^0-9]/g, '')
  return der(0x17, Buffer.from(`${digits.slice(2, 14)}Z`))
}

function extension(id: string, value: Buffer, isCritical = false): Buffer {
  const critical = isCritical ? [der(0x01, Buffer.from([0xff]))] : []
  return sequence(objectId(id), ...critical, der(0x04, value))
}

function alternativeName(host: string): Buffer {
  const version = isIP(host)
  if (version === 4) return der(0x87, Buffer.from(host.split('.').map(Number)))
  return der(0x82, Buffer.from(host))
}

function keyIdOf(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
}

function toPem(certificate: Buffer): string {
  const lines = certificate.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}
