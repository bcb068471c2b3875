import Testing

@testable import LockdServer

@Suite struct EpollKeyTests {
    @Test(arguments: [EpollKey.Kind.listener, .wakeUp, .stop, .socket, .process, .bound])
    func keyComesBackAsItWas(_ kind: EpollKey.Kind) {
        for slot in [0, 1, 8191, 1 << 28 - 1] {
            for generation: UInt32 in [0, 1, 1 << 31, .max] {
                let key = EpollKey(kind, slot: slot, generation: generation)
                #expect(EpollKey(number: key.number) == key)
            }
        }
    }

    @Test func numberOfNoKindIsNoKey() {
        #expect(EpollKey(number: UInt64(EpollKey.Kind.supervisor.rawValue) + 1) == nil)
    }
}
