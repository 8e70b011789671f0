/**
 * Which implementation of a kernel serves. `native` is the platform's own, `wasm` WebAssembly, which runs everywhere;
 * `auto` is the native one where the platform has it: it is several times as fast (see bench/).
 */
export type HashEngine = 'native' | 'wasm' | 'auto'
