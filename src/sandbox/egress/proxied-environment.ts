const LOOPBACK = '127.0.0.1,localhost,::1'

/**
 * Returns the variables that lead programs to the policy's proxy and make them trust it, as OpenShell's supervisor sets
 * them (openshell.md 3.1).
 *
 * `certificates` is the folder that `writeCertificates` wrote, by the path that those programs see.
 */
export function proxiedEnvironment(proxy: string, certificates: string): Record<string, string> {
  return {
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    ALL_PROXY: proxy,
    http_proxy: proxy,
    https_proxy: proxy,
    grpc_proxy: proxy,
    NO_PROXY: LOOPBACK,
    no_proxy: LOOPBACK,
    NODE_USE_ENV_PROXY: '1',
    ...trustingEnvironment(certificates),
  }
}

/** Returns only the variables that make programs trust the authority in the folder of `writeCertificates`. */
export function trustingEnvironment(certificates: string): Record<string, string> {
  const own = `${certificates}/openshell-ca.pem`
  const bundle = `${certificates}/ca-bundle.pem`
  return {
    NODE_EXTRA_CA_CERTS: own,
    DENO_CERT: own,
    SSL_CERT_FILE: bundle,
    REQUESTS_CA_BUNDLE: bundle,
    CURL_CA_BUNDLE: bundle,
    GIT_SSL_CAINFO: bundle,
  }
}
