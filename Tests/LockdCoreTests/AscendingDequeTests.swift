import Testing

@testable import LockdCore

@Suite struct AscendingDequeTests {
    @Test func emptyDequeHasNoFirstElement() {
        let deque = AscendingDeque<Int>()
        #expect(deque.isEmpty)
        #expect(deque.isEmpty == (deque.count == 0))
        #expect(deque.first == nil)
        #expect(!deque.contains(1))
        #expect(deque.places(above: 0) == [:])
    }

    @Test func elementsAreKeptInOrder() {
        let deque = filled([1, 3, 5])
        #expect(!deque.isEmpty)
        #expect(deque.first == 1)
        #expect(deque.count == 3)
        #expect(Array(deque) == [1, 3, 5])
    }

    @Test func elementsAreFoundAndOthersAreNot() {
        let deque = filled(Array(stride(from: 1, through: 99, by: 2)))
        for number in 0...100 {
            #expect(deque.contains(number) == (number % 2 == 1))
        }
    }

    @Test func elementsLeaveFromEveryPlace() {
        for place in 0..<9 {
            var deque = filled(Array(0..<9))
            deque.remove(place)
            #expect(Array(deque) == (0..<9).filter { $0 != place })
        }
    }

    @Test func elementsAboveABoundComeWithTheirPlaces() {
        let deque = filled([1, 3, 5])
        #expect(deque.places(above: 0) == [0: 1, 1: 3, 2: 5])
        #expect(deque.places(above: 1) == [1: 3, 2: 5])
        #expect(deque.places(above: 2) == [1: 3, 2: 5])
        #expect(deque.places(above: 5) == [:])
        #expect(deque.places(above: 6) == [:])
    }

    @Test func smallerAndEqualElementsCannotBeAdded() async {
        await #expect(processExitsWith: .failure) {
            var deque = AscendingDeque<Int>()
            deque.append(2)
            deque.append(1)
        }
        await #expect(processExitsWith: .failure) {
            var deque = AscendingDeque<Int>()
            deque.append(2)
            deque.append(2)
        }
    }

    @Test func onlyElementsCanBeRemoved() async {
        await #expect(processExitsWith: .failure) {
            var deque = AscendingDeque<Int>()
            deque.append(1)
            deque.append(3)
            deque.remove(2)
        }
        await #expect(processExitsWith: .failure) {
            var deque = AscendingDeque<Int>()
            deque.append(1)
            deque.remove(2)
        }
    }

    private func filled(_ elements: [Int]) -> AscendingDeque<Int> {
        var deque = AscendingDeque<Int>()
        for element in elements { deque.append(element) }
        return deque
    }
}

extension AscendingDeque {
    fileprivate func places(above bound: Element) -> [Int: Element] {
        let above = elements(above: bound)
        return Dictionary(uniqueKeysWithValues: zip(above.indices, above))
    }
}
