#!/usr/bin/env node
// Makes a checkout runnable: installs the locked packages when they are missing or stale, then compiles every
// TypeScript file to the same path below dist/. Plain JavaScript, because nothing is installed yet when it first runs.
//   node tools/setup.mjs                 all packages (development ones too), then build
//   node tools/setup.mjs --runtime-only  only what is needed to run, if nothing is installed yet
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const SOURCE_FOLDERS = ['runtime', 'workers', 'net', 'wasm', 'bench', 'test', 'tools', 'console']
const ASSETS = /\.(json|html|css|svg|wat|wasm|bin|hex|yaml)$/

const nodeMajor = Number(process.versions.node.split('.')[0])
if (nodeMajor < 20) fail(`shoal needs Node.js 20 or newer, this is ${process.version}. Install a current Node.js and run the command again.`)

install(process.argv.includes('--runtime-only'))
build()

function install (runtimeOnly) {
  const wanted = createHash('sha256').update(readFileSync(join(root, 'package-lock.json'))).digest('hex')
  const stampFile = join(root, 'node_modules', '.shoal-installed')
  const [hash, kind] = existsSync(stampFile) ? readFileSync(stampFile, 'utf8').split(' ') : []
  if (hash === wanted && (kind === 'all' || runtimeOnly)) return
  const started = Date.now()
  process.stderr.write(`shoal: installing ${runtimeOnly ? 'the runtime' : 'all'} packages ...\n`)
  const args = ['ci', '--no-fund', '--no-audit', '--ignore-scripts', '--loglevel=error', ...(runtimeOnly ? ['--omit=dev'] : [])]
  try {
    execFileSync('npm', args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  } catch (error) {
    fail(`"npm ${args.join(' ')}" failed (${error.message}). Check that the npm registry can be reached and run the command again.`)
  }
  writeFileSync(stampFile, `${wanted} ${runtimeOnly ? 'runtime' : 'all'}`)
  process.stderr.write(`shoal: packages installed in ${((Date.now() - started) / 1000).toFixed(1)} s\n`)
}

function build () {
  const require = createRequire(import.meta.url)
  const esbuild = require('esbuild')
  const files = SOURCE_FOLDERS.flatMap(folder => walk(join(root, folder)))
  const sources = files.filter(file => file.endsWith('.ts') && !file.endsWith('.d.ts'))
  const stale = sources.filter(file => isOlder(target(file).replace(/\.ts$/, '.js'), file))
  if (stale.length > 0) {
    esbuild.buildSync({
      entryPoints: stale,
      outdir: join(root, 'dist'),
      outbase: root,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      sourcemap: 'linked',
      logLevel: 'error'
    })
  }
  for (const asset of files.filter(file => ASSETS.test(file))) {
    if (!isOlder(target(asset), asset)) continue
    mkdirSync(dirname(target(asset)), { recursive: true })
    writeFileSync(target(asset), readFileSync(asset))
  }
  removeOrphans(new Set(files.map(target).flatMap(file => [file, file.replace(/\.ts$/, '.js'), file.replace(/\.ts$/, '.js.map')])))
}

function target (file) { return join(root, 'dist', relative(root, file)) }

function isOlder (output, input) { return !existsSync(output) || statSync(output).mtimeMs < statSync(input).mtimeMs }

/** Files of dist/ whose source is gone: a test that was deleted must not run on. */
function removeOrphans (wanted) {
  const dist = join(root, 'dist')
  for (const folder of SOURCE_FOLDERS) {
    for (const file of walk(join(dist, folder))) if (!wanted.has(file)) rmSync(file)
  }
}

function walk (folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? walk(path) : entry.isFile() ? [path] : []
  })
}

function fail (message) {
  process.stderr.write(`shoal: ${message}\n`)
  process.exit(1)
}
