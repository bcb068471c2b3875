import Testing

@testable import LockdCore
@testable import LockdModel

@Suite struct NameIndexTests {
    private var locks = Slab<Lock>()
    private var index = NameIndex()

    private mutating func insert(_ names: [LockName]) -> [Int] {
        names.map { name in
            let slot = locks.insert(Lock(name: name))
            index.insert(slot, in: &locks)
            return slot
        }
    }

    /// Looks for the name in both ways.
    private mutating func find(_ name: LockName) -> Int? {
        let slot = index.slot(of: name, in: &locks)
        Array(name.spelling.utf8).withUnsafeBytes { bytes in
            // The fingerprint is the name's, which in some of these tests is not made of its bytes.
            let plainName = PlainName(bytes: bytes, fingerprint: name.fingerprint)
            #expect(index.slot(of: plainName, in: &locks) == slot)
        }
        return slot
    }

    @Test mutating func namesLeadToTheirLocks() {
        let slots = insert(["a", "b", "c"])
        #expect(find("a") == slots[0])
        #expect(find("b") == slots[1])
        #expect(find("c") == slots[2])
        #expect(find("d") == nil)
        #expect(index.count == 3)
    }

    @Test(arguments: 0..<3) mutating func namesWithEqualFingerprintsAreToldApart(removed: Int) {
        let names = ["a", "b", "c", "absent"].map { LockName(spelling: $0, fingerprint: Fingerprint(value: 7)) }
        let slots = insert(Array(names[..<3]))
        #expect(names.map { find($0) } == [slots[0], slots[1], slots[2], nil])

        index.remove(slots[removed], in: &locks)
        locks.remove(at: slots[removed])
        #expect(index.count == 2)
        for number in 0..<3 { #expect(find(names[number]) == (number == removed ? nil : slots[number])) }
    }

    @Test func onlyWhatIsThereCanBeRemoved() async {
        await #expect(processExitsWith: .failure) {
            var locks = Slab<Lock>()
            var index = NameIndex()
            index.remove(locks.insert(Lock(name: "a")), in: &locks)
        }
    }
}
