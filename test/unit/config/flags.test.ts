import t from 'tap'
import { UsageError, boolFlag, intFlag, intsFlag, parseFlags, stringFlag } from '../../../runtime/config/flags.js'

const own = { port: intFlag('A port.'), ports: intsFlag('Ports.'), quiet: boolFlag('Say less.') }
const shared = { config: stringFlag('A file.', 'x.yaml') }
const NOTHING = { port: 0, ports: [], quiet: false, config: 'x.yaml' }

for (const [args, values] of [
  [[], {}],
  [['--port', '80'], { port: 80 }],
  [['-port', '80'], { port: 80 }],
  [['--port=80'], { port: 80 }],
  [['-port=80'], { port: 80 }],
  [['-port', '1', '-port', '2'], { port: 2 }],
  [['--port', '-5'], { port: -5 }],
  [['--port', '0x50'], { port: 80 }],
  [['--port', '010'], { port: 8 }],
  [['--port', '0b11'], { port: 3 }],
  [['--ports', '1', '--ports=2', '-ports', '3'], { ports: [1, 2, 3] }],
  [['--config', 'a=b'], { config: 'a=b' }],
  [['--config=a=b'], { config: 'a=b' }],
  [['--config='], { config: '' }],
  [['--config', '--port'], { config: '--port' }],
  [['--quiet', '--port', '1'], { quiet: true, port: 1 }],
  [['--quiet=false'], { quiet: false }],
  [['--port', '1', '--'], { port: 1 }]
] as const) {
  t.test(`"${args.join(' ')}"`, async t => { t.same(parseFlags('prog', own, shared, args), { ...NOTHING, ...values }) })
}

for (const [args, message] of [
  [['--prot', '80'], 'flag provided but not defined: -prot'],
  [['--constructor', '80'], 'flag provided but not defined: -constructor'],
  [['--port', 'http'], 'invalid value "http" for flag -port: parse error'],
  [['--port='], 'invalid value "" for flag -port: parse error'],
  [['--port', '1.5'], 'invalid value "1.5" for flag -port: parse error'],
  [['--port', '99999999999999999999'], 'invalid value "99999999999999999999" for flag -port: parse error'],
  [['--quiet=maybe'], 'invalid value "maybe" for flag -quiet: parse error'],
  [['--port'], 'flag needs an argument: -port'],
  [['---port', '1'], 'bad flag syntax: ---port'],
  [['--=1'], 'bad flag syntax: --=1'],
  [['up'], 'unexpected argument: up'],
  [['-'], 'unexpected argument: -'],
  [['--port', '1', '--', 'x'], 'unexpected argument: x']
] as const) {
  t.test(`"${args.join(' ')}" prints the usage and exits 2`, async t => {
    try {
      parseFlags('prog', own, shared, args)
      t.fail('accepted')
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      t.equal(error.exitCode, 2)
      t.equal(error.message.split('\n')[0], message)
      t.match(error.message, /\nUsage of prog:\n {2}--port int\n/)
    }
  })
}

t.test('help prints the usage and exits 0', async t => {
  for (const word of ['-h', '--help', '-help']) {
    t.throws(() => parseFlags('prog', own, shared, [word]), { exitCode: 0, message: /^Usage of prog:[^]*\(default x\.yaml\)$/ }, word)
  }
})
