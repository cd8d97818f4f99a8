// Runs the command lines that its parent sends, as Node runs each of them alone: `main.js` is evaluated anew, what it imports is not.
const main = process.argv[2]
let count = 0

process.on('message', async ({ words, env, cwd }) => {
  const said = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'])
    process[stream].write = (text, ...rest) => {
      said[stream] += text
      rest.find((one) => typeof one === 'function')?.()
      return true
    }
  process.argv = [process.execPath, main, ...words]
  process.env = env
  process.exitCode = undefined
  process.chdir(cwd)
  await import(`${main}?${count++}`)
  process.send({ code: process.exitCode ?? 0, ...said })
  process.exitCode = 0
})
