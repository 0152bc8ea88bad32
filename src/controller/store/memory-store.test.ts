import { MemoryStore } from './memory-store.ts'
import { testStoreContract } from './test-store-contract.ts'

testStoreContract('a store in memory', () => new MemoryStore())
