import fc from 'fast-check'

/*
 * Properties, always with the same random values unless others are asked for: a run that fails must fail again, and one
 * that looks for new failures is made on purpose (SHOAL_TEST_SEED=random, or a number).
 */
const DEFAULT_SEED = 20_260_101
const { SHOAL_TEST_SEED = String(DEFAULT_SEED) } = process.env

if (SHOAL_TEST_SEED !== 'random') fc.configureGlobal({ seed: Number(SHOAL_TEST_SEED) })

export default fc
